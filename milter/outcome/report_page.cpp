#include "milter/outcome/report_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>

#include "milter/cli/catalogue_json.h"
#include "milter/serve/note_text.h"
#include "milter/serve/report_status.h"
#include "policy/mail/text.h"
#include "policy/mail/unicode.h"

namespace replygate {
namespace {

namespace json = boost::json;

using Kinds = DayReport::Kinds;

constexpr std::size_t kMostReportLines = 60;

// Lines of a report, sixty at most.
class ReportPage {
 public:
  void add(std::string line) { lines_.push_back(without_controls(std::move(line))); }

  std::string text() const {
    std::string text;
    const bool cut = lines_.size() > kMostReportLines;
    const std::size_t shown = cut ? kMostReportLines - 1 : lines_.size();
    for (std::size_t i = 0; i < shown; ++i) text += lines_[i] + "\n";
    if (cut) text += fmt::format("and {} lines more: replygate report --json\n", lines_.size() - shown);
    return text;
  }

 private:
  std::vector<std::string> lines_;
};

using Sorted = std::vector<std::pair<std::vector<std::string>, const DayReport::Tally*>>;

// The most frequent first.
Sorted most_frequent(const Kinds& kinds) {
  Sorted all;
  for (const auto& [words, tally] : kinds) all.emplace_back(words, &tally);
  std::ranges::stable_sort(all, std::ranges::greater(), [](const auto& one) { return one.second->count; });
  return all;
}

std::string shortened(std::string_view text, std::size_t most) {
  const std::string safe = without_controls(std::string(text));
  return safe.size() <= most ? safe : fmt::format("{}~", whole_characters(safe, most - 1));
}

std::string why_command(const DayReport::Tally& tally) {
  return "replygate why " + shell_word(without_controls(tally.example));
}

// A title, then `line` of each kind; `most` of them.
template <typename Line>
void add_report_kinds(ReportPage& page, std::string_view title, const Kinds& kinds, std::size_t most,
                      const Line& line) {
  if (kinds.empty()) return;
  std::int64_t total = 0;
  std::int64_t waiting = 0;
  for (const auto& [words, tally] : kinds) {
    total += tally.count;
    waiting += tally.waiting;
  }
  page.add("");
  page.add(fmt::format("{}: {}{}", title, total,
                       waiting > 0 && waiting < total ? fmt::format(", {} of them still waiting", waiting) : ""));
  const Sorted sorted = most_frequent(kinds);
  for (std::size_t i = 0; i < sorted.size() && i < most; ++i) line(sorted[i].first, *sorted[i].second);
  if (sorted.size() > most) page.add(fmt::format("        and {} more", counted(sorted.size() - most, "kind")));
}

std::string word_at(const std::vector<std::string>& words, std::size_t i) { return i < words.size() ? words[i] : ""; }

void add_remote(ReportPage& page, std::string_view title, const Kinds& kinds, std::size_t most) {
  add_report_kinds(page, title, kinds, most, [&](const auto& words, const DayReport::Tally& tally) {
    page.add(fmt::format("{:>6}  {}: {}; \"{}\"", tally.count, shortened(word_at(words, 0), 60), word_at(words, 1),
                         shortened(tally.text, 70)));
    const std::string advice = word_at(words, 2);
    page.add(fmt::format("        {}{}{}", shortened(advice, 90), advice.empty() ? "" : " — ", why_command(tally)));
  });
}

void add_refusals(ReportPage& page, const DayReport& report) {
  add_report_kinds(page, "refused here", report.refusals, 6, [&](const auto& words, const DayReport::Tally& tally) {
    page.add(fmt::format("{:>6}  {} ({}, {} bounce): \"{}\" — {}", tally.count, word_at(words, 0), word_at(words, 1),
                         word_at(words, 2), shortened(tally.text, 50), why_command(tally)));
  });
  add_report_kinds(
      page, "refused by the mail server itself", report.own, 5, [&](const auto& words, const DayReport::Tally& tally) {
        page.add(fmt::format("{:>6}  {}: \"{}\", first from {}", tally.count, word_at(words, 1),
                             shortened(word_at(words, 0), 80), tally.text.empty() ? "?" : shortened(tally.text, 40)));
      });
}

void add_observed(ReportPage& page, const DayReport& report) {
  add_report_kinds(page, "rules in observe mode would have answered", report.observed, 4,
                   [&](const auto& words, const DayReport::Tally& tally) {
                     page.add(fmt::format("{:>6}  {} ({}) — {}", tally.count, word_at(words, 0), word_at(words, 1),
                                          why_command(tally)));
                   });
}

void add_limits(ReportPage& page, const DayReport& report) {
  const auto limits = report.fullest(5);
  if (limits.empty()) return;
  page.add("");
  page.add("full or nearly full");
  for (const DayReport::Limit& l : limits) {
    page.add(fmt::format("{:>5.0f}%  {} of {}, {}{} — replygate quota show {}", l.part * 100, l.rule,
                         shortened(l.key, 60), l.window, l.full ? ", refused" : "",
                         shell_word(without_controls(l.key))));
  }
}

void add_news(ReportPage& page, const DayReport& report) {
  if (!report.last_policy_before.empty()) {
    add_report_kinds(page, "rules that answered and had not before", report.fresh, 3,
                     [&](const auto& words, const DayReport::Tally& tally) {
                       page.add(fmt::format("{:>6}  {} ({}) — {}", tally.count, word_at(words, 0), word_at(words, 1),
                                            why_command(tally)));
                     });
  }
  const bool changed = report.policies.size() > 1 || (!report.last_policy_before.empty() && !report.policies.empty() &&
                                                      !report.policies.contains({report.last_policy_before}));
  if (!changed) return;
  page.add("");
  page.add(fmt::format("the policy changed; ids that served: {} — replygate status", report.policies.size()));
}

json::array json_of(const Kinds& kinds, std::initializer_list<std::string_view> names) {
  json::array array;
  for (const auto& [words, tally] : most_frequent(kinds)) {
    json::object object{
        {"count", tally->count}, {"example", json_text(tally->example)}, {"text", json_text(tally->text)}};
    std::size_t i = 0;
    for (const std::string_view name : names) object[name] = json_text(word_at(words, i++));
    array.push_back(std::move(object));
  }
  return array;
}

}  // namespace

std::string report_text(const DayReport& report, std::string_view head) {
  ReportPage page;
  page.add(fmt::format("{}: {} recipients let through, {} refused; {} delivered, {} bounced, {} waiting", head,
                       report.passed, report.refused, report.delivered, report.bounced, report.waiting));
  if (report.unknown > 0) {
    page.add(
        fmt::format("        {} of them of mail that came before the log begins, of unknown senders", report.unknown));
  }
  if (report.is_silent()) return page.text();
  add_remote(page, "they refuse us", report.blocked, 4);
  add_remote(page, "mail that failed", report.failed, 4);
  add_report_kinds(page, "addresses that died", report.dead, 5, [&](const auto& words, const DayReport::Tally& tally) {
    page.add(fmt::format("{:>6}  {} {} — {}", tally.count, shortened(word_at(words, 0), 60), word_at(words, 1),
                         why_command(tally)));
  });
  add_report_kinds(
      page, "reported as spam", report.complaints, 4, [&](const auto& words, const DayReport::Tally& tally) {
        page.add(fmt::format("{:>6}  of {} — {}", tally.count, shortened(word_at(words, 0), 60), why_command(tally)));
      });
  add_refusals(page, report);
  add_observed(page, report);
  add_limits(page, report);
  add_remote(page, "still waiting", report.deferred, 2);
  add_news(page, report);
  return page.text();
}

json::object report_json(const DayReport& report) {
  json::array limits;
  for (const DayReport::Limit& l : report.fullest(1000)) {
    limits.push_back(json::object{
        {"rule", l.rule}, {"key", json_text(l.key)}, {"limit", l.window}, {"part", l.part}, {"full", l.full}});
  }
  return {{"passed", report.passed},
          {"refused", report.refused},
          {"delivered", report.delivered},
          {"bounced", report.bounced},
          {"waiting", report.waiting},
          {"of_unknown_senders", report.unknown},
          {"they_refuse_us", json_of(report.blocked, {"provider", "reason", "advice"})},
          {"failed", json_of(report.failed, {"provider", "reason", "advice"})},
          {"still_waiting", json_of(report.deferred, {"provider", "reason", "advice"})},
          {"dead_addresses", json_of(report.dead, {"recipient", "reason"})},
          {"refusals", json_of(report.refusals, {"rule", "class", "bounce", "reason"})},
          {"complaints", json_of(report.complaints, {"sender"})},
          {"observed", json_of(report.observed, {"rule", "what"})},
          {"own_refusals", json_of(report.own, {"reply", "reason"})},
          {"limits", std::move(limits)},
          {"new_rules", json_of(report.fresh, {"rule", "place"})},
          {"policies", json_of(report.policies, {"policy"})}};
}

}  // namespace replygate
