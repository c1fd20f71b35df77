#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <boost/json.hpp>
#include <cerrno>
#include <cstring>
#include <optional>
#include <string>

#include "milter/bounce/input.h"
#include "milter/bounce/message.h"
#include "milter/bounce/report_ids.h"
#include "milter/cli/ask_daemon.h"
#include "milter/cli/commands.h"
#include "milter/cli/table.h"
#include "milter/cli/when.h"
#include "milter/json_members.h"
#include "milter/log/say.h"
#include "milter/outcome/report_json.h"

namespace replygate {
namespace {

namespace json = boost::json;

constexpr std::size_t kMostReport = std::size_t{4} << 20U;  // octets
constexpr std::size_t kTogether = 10;                       // statuses that one request has room for

// What is beyond is read, so that the MTA's pipe does not break, and left away. Nothing comes of what no MTA hands
// over.
std::optional<std::string> read_report() {
  std::string text;
  std::array<char, 65536> block{};
  ssize_t count = 0;
  while ((count = ::read(STDIN_FILENO, block.data(), block.size())) > 0) {
    text.append(block.data(), std::min(static_cast<std::size_t>(count), kMostReport - text.size()));
  }
  if (count == 0 && !text.empty()) return text;
  say(fmt::format("standard input: {}", count < 0 ? std::strerror(errno) : "there is nothing in it"));
  return std::nullopt;
}

std::string said_of(const json::object& row) {
  const std::string recipient = text_at(row, "recipient");
  const std::string result = text_at(row, "result");
  const std::string who = recipient.empty() ? "a recipient" : recipient;
  const std::string what = fmt::format("{} ({})", text_at(row, "outcome"), text_at(row, "reason"));
  if (result == "nothing" && text_at(row, "outcome") == "delivered") {
    return fmt::format("{}: {}, of mail that nobody refused: it counts for nothing", who, text_at(row, "reason"));
  }
  if (result == "nothing") return fmt::format("{}: nothing final", who);
  if (result == "unknown") return fmt::format("{}: {}, of no mail to this address that is remembered", who, what);
  return fmt::format("{}: {}, {}of {} from {}", who, what, result == "known" ? "known before, " : "",
                     text_at(row, "queue_id"), text_at(row, "sender"));
}

// What was made of a report, in one piece, however often the daemon was asked.
void print_report(const ControlOptions& options, json::array rows) {
  if (options.json) {
    fmt::print("{}\n", json::serialize(json::object{{"recipients", std::move(rows)}}));
    return;
  }
  for (const json::value& row : rows) fmt::print("{}\n", said_of(row.as_object()));
}

int tell_no_report(const ControlOptions& options) {
  if (options.json) {
    print_report(options, {});
  } else {
    fmt::print("this is no report of mail that failed, and no complaint\n");
  }
  return kFine;
}

void print_dead(const json::object& result, std::string_view address) {
  const json::array& addresses = array_at(result, "addresses");
  if (addresses.empty()) {
    fmt::print("{}\n",
               address.empty() ? "no address is known to be dead" : fmt::format("{} is not known to be dead", address));
    return;
  }
  Table table({"address", " reports", "last", "dead until", "reason", "what its server said"});
  for (const json::value& value : addresses) {
    const json::object& r = value.as_object();
    table.add({text_at(r, "address"), fmt::format("{:.0f}", number_at(r, "reports")), local_time(text_at(r, "last")),
               r.contains("until") ? local_time(text_at(r, "until")) : "not yet", text_at(r, "reason"),
               text_at(r, "text")});
  }
  fmt::print("{}", table.text(terminal_width()));
}

// What runs in an alias must never bounce. What cannot be told now is told when the MTA tries again, unless that cannot
// help.
int tell_report(const ControlOptions& options, const OutcomeLedger::Report& report) {
  json::array rows;
  ControlOptions asking = options;
  asking.json = false;
  int status = kFine;
  for (std::size_t first = 0; first < report.statuses.size() && status == kFine; first += kTogether) {
    OutcomeLedger::Report part{.statuses = {}, .queue_ids = report.queue_ids, .message_ids = report.message_ids};
    const std::size_t count = std::min(kTogether, report.statuses.size() - first);
    const auto begin = report.statuses.begin() + static_cast<std::ptrdiff_t>(first);
    part.statuses.assign(begin, begin + static_cast<std::ptrdiff_t>(count));
    json::object request = to_json(part);
    request["command"] = "outcome-report";
    const int told = ask_daemon(asking, std::move(request), [&](const json::object& result) {
      const json::array& some = array_at(result, "recipients");
      rows.insert(rows.end(), some.begin(), some.end());
    });
    if (told != kFine && told != kUsage) status = kTryAgain;
  }
  if (status == kFine || !rows.empty()) print_report(options, std::move(rows));
  return status;
}

}  // namespace

int outcome_command(const ControlOptions& options) {
  const auto text = read_report();
  if (!text) return kNoInput;
  OutcomeLedger::Report report;
  if (looks_like_message(*text)) report.statuses = read_attempts(*text);
  if (report.statuses.empty()) return tell_no_report(options);
  ReportIds ids = ids_in_report(*text);
  report.queue_ids = std::move(ids.queue_ids);
  report.message_ids = std::move(ids.message_ids);
  return tell_report(options, report);
}

int outcome_dead_command(const OutcomeOptions& options) {
  return ask_daemon(
      options, {{"command", "outcome-dead"}, {"address", options.address}},
      [&](const json::object& result) { print_dead(result, options.address); },
      [](const json::object& result) { return array_at(result, "addresses").empty() ? kFound : kFine; });
}

int outcome_clear_command(const OutcomeOptions& options) {
  return ask_daemon(
      options, {{"command", "outcome-clear"}, {"address", options.address}},
      [](const json::object& result) {
        fmt::print("{} {}\n", text_at(result, "address"),
                   flag_at(result, "cleared") ? "is no longer known to be dead" : "was not reported");
      },
      [](const json::object& result) { return flag_at(result, "cleared") ? kFine : kFound; });
}

}  // namespace replygate
