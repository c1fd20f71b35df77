#include <fmt/format.h>

#include <algorithm>

#include "milter/import/importer.h"
#include "policy/mail/domain.h"
#include "policy/mail/ip.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

using import::RuleText;

// A key as our patterns write it, and how early Postfix looks for it.
struct Entry {
  std::string pattern;
  std::string action;
  int order = 0;  // lower is looked up first
  std::string_view fact;
};

// "192.0.2" is the network 192.0.2.0/24 there.
std::string network_of(std::string_view key) {
  if (IpNetwork::parse(key)) return std::string(key);
  const auto dots = std::ranges::count(key, '.');
  const bool digits = !key.empty() && std::ranges::all_of(key, [](char c) { return is_digit(c) || c == '.'; });
  if (!digits || dots > 2 || key.ends_with('.')) return "";
  std::string full(key);
  for (auto i = dots; i < 3; ++i) full += ".0";
  full += fmt::format("/{}", 8 * (dots + 1));
  return IpNetwork::parse(full) ? full : "";
}

int labels(std::string_view domain) { return static_cast<int>(std::ranges::count(domain, '.')); }

std::optional<Entry> entry_of(std::string_view key, std::string_view as) {
  Entry entry;
  if (as == "client") {
    if (std::string network = network_of(key); !network.empty()) {
      const bool whole = network.find('/') == std::string::npos;
      return Entry{network, "", whole ? 0 : 100 - 8 * labels(key), "client_ip"};
    }
  }
  const bool addresses = as == "sender" || as == "recipient";
  const std::size_t at = key.find('@');
  if (key == "<>" && as == "sender") return Entry{"", "", 0, "sender"};
  if (addresses && at != std::string_view::npos && at + 1 < key.size()) {
    return Entry{std::string(key), "", 0, as == "sender" ? "sender" : "recipient"};
  }
  if (addresses && at != std::string_view::npos)
    return Entry{std::string(key), "", 500, as == "sender" ? "sender" : "recipient"};
  const std::string_view domain = key.starts_with('.') ? key.substr(1) : key;
  if (!canonical_domain(domain)) return std::nullopt;
  const std::string_view fact = as == "client"   ? "client_name"
                                : as == "helo"   ? "helo"
                                : as == "sender" ? "sender"
                                                 : "recipient";
  return Entry{fmt::format(".{}", domain), "", 200 - labels(domain), fact};
}

class Access {
 public:
  explicit Access(std::string_view as) : as_(as) {}

  Imported import(std::string_view text) {
    unsigned number = 0;
    for (const std::string_view line : split(text, '\n')) read(line, ++number);
    std::ranges::stable_sort(entries_, {}, &Entry::order);
    result_.policy = import::head(fmt::format("a table of access(5) for {}", as_));
    for (std::size_t i = 0; i < entries_.size();) i = write(i);
    result_.policy += import::comments(result_.lost);
    return std::move(result_);
  }

 private:
  void lose(unsigned number, std::string_view line, std::string_view why) {
    result_.lost.push_back(fmt::format("line {}: {} ({})", number, line, why));
  }

  void read(std::string_view line, unsigned number) {
    if (line.empty() || line.starts_with('#')) return;
    const std::string_view key = line.substr(0, line.find_first_of(" \t"));
    const std::string_view action = import::rest_of(line);
    if (action.empty()) return lose(number, line, "no action");
    auto entry = entry_of(key, as_);
    if (!entry) return lose(number, line, "the key is no address, network or domain");
    if (outcome_of(action).empty()) return lose(number, line, "replygate has no such action");
    entry->action = action;
    if (const std::string why = import::problem_of(rule_of("r", *entry, {entry->pattern})); !why.empty()) {
      return lose(number, line, why);
    }
    entries_.push_back(*std::move(entry));
  }

  // The lines of a rule that the action means.
  static std::vector<std::pair<std::string, std::string>> outcome_of(std::string_view action) {
    const std::string_view word = action.substr(0, action.find_first_of(" \t"));
    if (auto reply = import::reply_of(action); !reply.empty()) return {{"reply", std::move(reply)}};
    const bool digits = std::ranges::all_of(word, is_digit);
    if (equal_ignoring_case(word, "OK") || equal_ignoring_case(word, "PERMIT") || equal_ignoring_case(word, "DUNNO") ||
        digits) {
      return {{"accept", "true"}};
    }
    const std::string_view rest = import::rest_of(action);
    if (equal_ignoring_case(word, "HOLD")) {
      return {{"hold", RuleText::quoted(rest.empty() ? "held by policy" : rest.substr(0, 200))}};
    }
    if (equal_ignoring_case(word, "DISCARD")) return {{"discard", "true"}};
    return {};
  }

  static std::string rule_of(std::string_view name, const Entry& entry, const std::vector<std::string>& patterns) {
    RuleText rule(name);
    rule.condition(true, entry.fact, RuleText::quoted_list(patterns));
    for (const auto& [key, value] : outcome_of(entry.action)) rule.add(key, value);
    return rule.text();
  }

  // One rule for all entries from `first` on that have one action; gives the next entry.
  std::size_t write(std::size_t first) {
    std::vector<std::string> patterns;
    std::size_t i = first;
    for (; i < entries_.size() && entries_[i].action == entries_[first].action &&
           entries_[i].fact == entries_[first].fact;
         ++i) {
      patterns.push_back(entries_[i].pattern);
    }
    result_.policy += rule_of(fmt::format("{}-access-{}", as_, ++rules_), entries_[first], patterns);
    return i;
  }

  std::string_view as_;
  std::vector<Entry> entries_;
  std::size_t rules_ = 0;
  Imported result_;
};

}  // namespace

Imported import_access(std::string_view text, std::string_view as) { return Access(as).import(import::cleaned(text)); }

}  // namespace replygate
