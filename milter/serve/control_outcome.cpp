#include "milter/serve/control_outcome.h"

#include <fmt/format.h>

#include <boost/json.hpp>

#include "milter/exit_status.h"
#include "milter/json_members.h"
#include "milter/outcome/outcome_reader.h"
#include "milter/outcome/recorded_form.h"
#include "milter/outcome/report_json.h"
#include "milter/serve/report_status.h"
#include "policy/decide/record_fields.h"

namespace replygate {
namespace {

namespace json = boost::json;

using Done = std::function<void(ControlAnswer)>;

constexpr std::int64_t kMostDeadShown = 1000;

// Does it on the reader's thread, and tells what `work` has left in `result`.
template <typename Work>
void within(Desk& desk, const Done& done, Work work) {
  if (desk.outcomes == nullptr) {
    return done({.status = kUnavailable, .error = "the policy has no [outcomes], so nothing is known of them"});
  }
  auto result = std::make_shared<json::object>();
  const bool kept = desk.outcomes->within(
      [result, work](OutcomeLedger& ledger, DeadList& dead, Instant now) { *result = work(ledger, dead, now); });
  if (!kept)
    return done({.status = kUnavailable, .error = "outcomes cannot be kept just now; replygate status says why"});
  done({.result = *result});
}

json::object row_of(const DeadList::Entry& entry) {
  json::object row{{"address", json_text(entry.address)},
                   {"reports", entry.reports},
                   {"last", detail::format_time(entry.last)},
                   {"reason", info_of(entry.reason).slug},
                   {"text", json_text(entry.text)}};
  if (entry.until > entry.last) row["until"] = detail::format_time(entry.until);
  return row;
}

std::string_view to_string(OutcomeLedger::Read::Fate fate) {
  constexpr std::array<std::string_view, 4> words = {"counted", "known", "unknown", "nothing"};
  return words[static_cast<std::size_t>(fate)];
}

json::object row_of(const OutcomeLedger::Read& read) {
  json::object row{{"recipient", json_text(read.recipient)}, {"result", to_string(read.fate)}};
  if (read.kind) row["outcome"] = replygate::to_string(*read.kind);
  row["reason"] = info_of(read.reason).slug;
  if (read.sending.number == 0) return row;
  row["queue_id"] = json_text(read.sending.queue_id);
  row["ref"] = json_text(read.sending.ref);
  row["sender"] = json_text(read.sending.sender);
  return row;
}

}  // namespace

void outcome_report(Desk& desk, const json::object& request, const Done& done) {
  within(desk, done, [report = report_in(request)](OutcomeLedger& ledger, DeadList&, Instant now) {
    json::array rows;
    for (const OutcomeLedger::Read& read : ledger.take(now, report)) rows.push_back(row_of(read));
    return json::object{{"recipients", std::move(rows)}};
  });
}

void outcome_dead(Desk& desk, const json::object& request, const Done& done) {
  const std::string address = recorded_form(text_at(request, "address"));
  within(desk, done, [address](OutcomeLedger&, DeadList& dead, Instant) {
    json::array rows;
    if (address.empty()) {
      for (const DeadList::Entry& entry : dead.last(kMostDeadShown)) rows.push_back(row_of(entry));
    } else if (const auto entry = dead.find(address)) {
      rows.push_back(row_of(*entry));
    }
    return json::object{{"addresses", std::move(rows)}};
  });
}

void outcome_clear(Desk& desk, const json::object& request, const Done& done) {
  const std::string address = recorded_form(text_at(request, "address"));
  within(desk, done, [address](OutcomeLedger&, DeadList& dead, Instant) {
    return json::object{{"address", json_text(address)}, {"cleared", dead.clear(address)}};
  });
}

}  // namespace replygate
