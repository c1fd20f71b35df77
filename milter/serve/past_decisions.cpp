#include "milter/serve/past_decisions.h"

#include <algorithm>
#include <boost/json.hpp>
#include <string>
#include <vector>

#include "milter/json_members.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

namespace json = boost::json;

constexpr std::size_t kMostOutcomes = 2000;  // of one message
constexpr std::size_t kMostWithOutcomes = 10;
constexpr std::size_t kMostLooked = 5000;

bool is_outcome(const json::object& record) { return text_at(record, "event") == "outcome"; }

std::vector<json::object> records_of(const std::vector<std::string>& lines) {
  std::vector<json::object> records;
  for (const std::string& line : lines) {
    boost::system::error_code error;
    json::value value = json::parse(line, error);
    if (!error && value.is_object()) records.push_back(std::move(value.get_object()));
  }
  return records;
}

std::vector<json::object> parted(std::vector<json::object>& records, bool outcomes) {
  std::vector<json::object> found;
  for (json::object& record : records) {
    if (is_outcome(record) == outcomes) found.push_back(std::move(record));
  }
  std::erase_if(records, [](const json::object& record) { return record.empty(); });
  return found;
}

// Outcomes stand between decisions: it looks further where they take their place.
std::vector<json::object> found_on(const History& history, std::string_view word, std::size_t most) {
  for (std::size_t looked = most;; looked *= 4) {
    auto records = records_of(history.find(word, looked));
    const auto decisions = std::ranges::count_if(records, [](const json::object& r) { return !is_outcome(r); });
    const bool all = records.size() < looked || looked >= kMostLooked;
    if (all || static_cast<std::size_t>(decisions) >= most) return records;
  }
}

bool has_ref(const std::vector<json::object>& records, std::string_view ref) {
  return std::ranges::any_of(records, [&](const json::object& r) { return text_at(r, "ref") == ref; });
}

// The decisions whose outcomes alone have the word, such as an address that an alias became.
void add_missing(const History& history, const std::vector<json::object>& outcomes, std::size_t most,
                 std::vector<json::object>& decisions) {
  std::vector<json::object> alone;
  for (const json::object& outcome : outcomes) {
    const std::string ref = text_at(outcome, "ref");
    if (decisions.size() + alone.size() >= most) break;
    if (has_ref(decisions, ref) || has_ref(alone, ref)) continue;
    auto found = records_of(history.find(ref, kMostOutcomes));
    auto with_ref = parted(found, false);
    std::erase_if(with_ref, [&](const json::object& r) { return text_at(r, "ref") != ref; });
    alone.push_back(with_ref.empty() ? outcome : std::move(with_ref.front()));
  }
  std::ranges::move(alone, std::back_inserter(decisions));
}

bool is_of(const json::object& judged, const json::object& outcome) {
  const std::string ref = text_at(outcome, "ref");
  return ref.empty() ? equal_ignoring_case(text_at(judged, "recipient"), text_at(outcome, "recipient"))
                     : text_at(judged, "ref") == ref;
}

json::array& array_in(json::object& object, std::string_view key) {
  json::value& value = object[key];
  if (!value.is_array()) value = json::array();
  return value.get_array();
}

void attach(json::object& decision, const json::object& record) {
  for (const json::value& value : array_at(record, "recipients")) {
    if (!value.is_object()) continue;
    json::object outcome = value.get_object();
    outcome["time"] = text_at(record, "time");
    json::array& judged = array_in(decision, "recipients");
    const auto mine = std::ranges::find_if(
        judged, [&](const json::value& r) { return r.is_object() && is_of(r.get_object(), outcome); });
    if (mine != judged.end()) {
      array_in(mine->get_object(), "outcomes").push_back(std::move(outcome));
      continue;
    }
    json::array& more = array_in(decision, "more");
    const auto added = std::ranges::find_if(more, [&](const json::value& r) { return is_of(r.get_object(), outcome); });
    if (added != more.end()) {
      array_in(added->get_object(), "outcomes").push_back(std::move(outcome));
    } else {
      more.push_back(json::object{{"recipient", text_at(outcome, "recipient")}, {"outcomes", json::array{outcome}}});
    }
  }
}

void add_outcomes_of(const History& history, json::object& decision) {
  const std::string ref = text_at(decision, "ref");
  auto records = records_of(history.find(ref, kMostOutcomes));
  auto outcomes = parted(records, true);
  for (auto it = outcomes.rbegin(); it != outcomes.rend(); ++it) {
    if (text_at(*it, "ref") == ref) attach(decision, *it);
  }
}

}  // namespace

json::array past_decisions(const History& history, std::string_view word, std::size_t most) {
  auto records = found_on(history, word, most);
  auto decisions = parted(records, false);
  const auto outcomes = records;
  if (decisions.size() > most) decisions.resize(most);
  add_missing(history, outcomes, most, decisions);
  std::ranges::stable_sort(decisions, std::ranges::greater(), [](const json::object& r) { return text_at(r, "time"); });
  for (std::size_t i = 0; i < decisions.size() && i < kMostWithOutcomes; ++i) {
    const bool accepted = text_at(decisions[i], "outcome") == "accepted";
    if (accepted && !is_outcome(decisions[i])) add_outcomes_of(history, decisions[i]);
  }
  json::array result;
  for (json::object& decision : decisions) result.emplace_back(std::move(decision));
  return result;
}

}  // namespace replygate
