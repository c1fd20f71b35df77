#include "policy/scenario/test_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/unordered/unordered_flat_set.hpp>

#include "policy/mail/text.h"
#include "policy/scenario/player.h"

namespace replygate {
namespace {

// Which rules have held.
class Matches final : public Witness {
 public:
  void judged(const Policy&, const Facts&, const Question&, const Inquiry& inquiry,
              const std::vector<std::optional<Reading>>&, const Verdict&) override {
    for (const Candidate& candidate : inquiry.candidates) {
      if (candidate.holds == Truth::yes) names_.insert(candidate.rule->name);
    }
  }
  bool contains(const std::string& rule) const { return names_.contains(rule); }

 private:
  boost::unordered_flat_set<std::string> names_;
};

class Comparison {
 public:
  explicit Comparison(TestResult& result) : result_(result) {}

  void equal(std::string what, std::string expected, std::string got) {
    if (expected != got) result_.differences.push_back({std::move(what), std::move(expected), std::move(got)});
  }

  void reply(std::string_view which, const ExpectedReply& expected, const Delivered& got) {
    const auto name = [&](std::string_view word) {
      return which.empty() ? std::string(word) : fmt::format("{} {}", which, word);
    };
    const int code = got.reply ? got.reply->code() : 250;
    if (expected.code) equal(name("code"), std::to_string(*expected.code), std::to_string(code));
    if (!expected.enhanced.empty()) {
      equal(name("enhanced"), expected.enhanced, got.reply ? got.reply->enhanced().text() : "");
    }
    if (!expected.classification.empty()) equal(name("class"), expected.classification, got.classification);
    if (!expected.rule.empty()) equal(name("rule"), expected.rule, got.rule);
    if (expected.bounce) {
      equal(name("bounce"), std::string(to_string(*expected.bounce)), std::string(to_string(bounce_of(code))));
    }
    const std::string text = got.reply ? got.reply->text() : "";
    if (text.find(expected.text) == std::string::npos) equal(name("text"), expected.text, text);
  }

  void replies(const Expected& expected, const std::vector<Delivered>& got) {
    if (got.empty()) return;
    if (!expected.each.empty()) {
      for (const Delivered& delivered : got) {
        const std::size_t before = result_.differences.size();
        reply(got.size() > 1 ? delivered.recipient : "", expected.each, delivered);
        if (result_.differences.size() != before) break;  // the first tells it all
      }
    }
    reply("first", expected.first, got.front());
    reply("last", expected.last, got.back());
    const auto accepted = std::ranges::count_if(got, [](const Delivered& d) { return !d.reply; });
    const auto refused = static_cast<std::ptrdiff_t>(got.size()) - accepted;
    if (expected.accepted) equal("accepted", std::to_string(*expected.accepted), std::to_string(accepted));
    if (expected.refused) equal("refused", std::to_string(*expected.refused), std::to_string(refused));
  }

  void disposition(const Expected& expected, const Disposition& got) {
    if (expected.discarded) {
      equal("discarded", *expected.discarded ? "true" : "false", got.discard ? "true" : "false");
    }
    if (expected.held) equal("held", *expected.held, got.hold);
    for (const auto& header : expected.headers) {
      const std::string& name = header.first;
      const std::string& value = header.second;
      const auto same = [&](const Header& h) { return equal_ignoring_case(h.name, name) && h.value == value; };
      if (std::ranges::any_of(got.headers, same)) continue;
      const auto it =
          std::ranges::find_if(got.headers, [&](const Header& h) { return equal_ignoring_case(h.name, name); });
      equal("header " + name, value, it == got.headers.end() ? "(none)" : it->value);
    }
  }

 private:
  TestResult& result_;
};

std::string first_answer(const std::vector<Delivered>& all) {
  const auto it = std::ranges::find_if(all, [](const Delivered& d) { return d.reply || !d.rule.empty(); });
  if (it == all.end()) return "no rule answered";
  const std::string who = it->recipient.empty() ? "the message" : it->recipient;
  return fmt::format("{} got {} by {}", who,
                     it->reply ? fmt::format("{} {}", it->reply->code(), it->reply->enhanced().text()) : "through",
                     it->rule.empty() ? "the MTA" : it->rule);
}

TestResult run(const std::shared_ptr<const Policy>& policy, const Scenario& scenario, Witness& witness) {
  TestResult result{.scenario = &scenario, .differences = {}};
  Player player(policy, &witness);
  std::vector<Delivered> all;
  Disposition last;
  Instant now = scenario.at;
  for (std::int64_t i = 0; i < scenario.repeat; ++i) {
    Played played = player.play(scenario.given, scenario.recipients, now);
    all.insert(all.end(), std::make_move_iterator(played.recipients.begin()),
               std::make_move_iterator(played.recipients.end()));
    last = std::move(played.disposition);
    player.tell(scenario.outcomes, now);
    now += scenario.every;
  }
  Comparison comparison(result);
  comparison.replies(scenario.expected, all);
  comparison.disposition(scenario.expected, last);
  if (!result.differences.empty()) result.answer = first_answer(all);
  return result;
}

}  // namespace

bool TestReport::passed() const {
  return std::ranges::all_of(results, [](const TestResult& r) { return r.differences.empty(); });
}

TestReport run_tests(const std::shared_ptr<const Policy>& policy, std::span<const Scenario> tests) {
  TestReport report;
  Matches matches;
  for (const Scenario& scenario : tests) report.results.push_back(run(policy, scenario, matches));
  for (const Rule& rule : policy->rules()) {
    // The parts of a rule stand together.
    const bool again = !report.never_matched.empty() && report.never_matched.back() == rule.name;
    if (!again && !matches.contains(rule.name)) report.never_matched.push_back(rule.name);
  }
  return report;
}

}  // namespace replygate
