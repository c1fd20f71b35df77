#include <fmt/format.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <thread>

#include "milter/cli/ask_daemon.h"
#include "milter/cli/colors.h"
#include "milter/cli/commands.h"
#include "milter/cli/outcome_text.h"
#include "milter/cli/table.h"
#include "milter/cli/when.h"
#include "milter/json_members.h"
#include "milter/log/say.h"
#include "milter/serve/control_client.h"

namespace replygate {
namespace {

namespace json = boost::json;

constexpr std::chrono::seconds kRefreshPause{2};

std::string ranking(std::string_view name, const json::array& rows) {
  Table table({std::string(name), " recipients", " refused"});
  for (const json::value& value : rows) {
    const json::object& row = value.as_object();
    table.add({text_at(row, "key"), fmt::format("{:.0f}", number_at(row, "recipients")),
               fmt::format("{:.0f}", number_at(row, "refused"))});
  }
  return table.text(terminal_width());
}

void print_top(const json::object& result) {
  fmt::print("{}\n{}\n{}", ranking("sender", array_at(result, "senders")),
             ranking("client", array_at(result, "clients")), ranking("rule", array_at(result, "rules")));
  std::fflush(stdout);
}

constexpr std::size_t kIndentOfTail = 10;
constexpr std::string_view kHead = "time      answer (rule)  ref  [client]  <sender> (login) -> <recipient>\n";

void print_decision(const json::object& record, const json::object& judged, const std::string& ref) {
  const Colors c = colors_of(stdout);
  const bool refused = text_at(judged, "action") != "pass";
  const bool counted_only = !refused && text_at(judged, "mode") == "counting-only";
  const json::array& observed = array_at(judged, "observed");
  const json::object& finding = refused || counted_only || observed.empty() ? judged : observed.front().as_object();
  const json::object& reply = object_at(finding, "reply");
  const bool would = !refused && (counted_only || !observed.empty());
  const char* color = refused ? c.bad : would ? c.warning : "";
  std::string answer = refused ? "refused" : would ? "would refuse" : text_at(record, "outcome");
  if (text_at(judged, "action") == "mta-refused") answer = "refused by the MTA";
  if (!text_at(record, "held").empty() && !refused && !would) answer = "held";
  if (const double code = number_at(reply, "code"); code != 0) answer += fmt::format(" {:.0f}", code);
  if (!reply.empty()) answer += fmt::format(" {}", text_at(reply, "enhanced"));
  if (const std::string rule = text_at(finding, "rule"); !rule.empty()) answer += fmt::format(" ({})", rule);
  const std::string user = text_at(record, "user");
  fmt::print("{}", labelled(local_clock(text_at(record, "time")), kIndentOfTail,
                            fmt::format("{}{}{}  {}  [{}]  <{}>{} -> <{}>", color, answer, c.off, ref,
                                        text_at(record, "client_ip"), text_at(record, "sender"),
                                        user.empty() ? "" : " (" + user + ")", text_at(judged, "recipient"))));
}

constexpr std::string_view kHeadOfOutcomes = "time      what became of it  ref  <sender> (login) -> <recipient>\n";

void print_outcome(const json::object& record, const json::object& outcome) {
  const Colors c = colors_of(stdout);
  const std::string user = text_at(record, "user");
  const std::string kind = text_at(outcome, "outcome");
  const char* color = kind == "delivered" ? c.good : kind == "deferred" ? c.warning : c.bad;
  fmt::print("{}", labelled(local_clock(text_at(record, "time")), kIndentOfTail,
                            fmt::format("{}{}{}  {}  <{}>{} -> <{}>", color, outcome_text(outcome), c.off,
                                        text_at(record, "ref"), text_at(record, "sender"),
                                        user.empty() ? "" : " (" + user + ")", text_at(outcome, "recipient"))));
}

void print_line(const std::string& line, bool as_json) {
  boost::system::error_code error;
  const json::value value = json::parse(line, error);
  if (as_json || error || !value.is_object()) {
    fmt::print("{}\n", line);
  } else if (const json::object& record = value.as_object(); record.contains("left_out")) {
    say(fmt::format("{:.0f} records came too fast and were skipped", number_at(record, "left_out")));
  } else if (text_at(record, "event") == "outcome") {
    for (const json::value& outcome : array_at(record, "recipients")) print_outcome(record, outcome.as_object());
  } else {
    const json::object& message = object_at(record, "message");
    const json::array& recipients = array_at(record, "recipients");
    if (recipients.empty() || text_at(message, "action") == "refuse") {
      print_decision(record, message, text_at(record, "ref"));
    }
    for (const json::value& judged : recipients) {
      print_decision(record, judged.as_object(), text_at(judged.as_object(), "ref"));
    }
  }
  std::fflush(stdout);
}

}  // namespace

int top_command(const TopOptions& options) {
  const json::object request{{"command", "top"}, {"count", options.count}};
  const bool once = options.once || options.json || ::isatty(STDOUT_FILENO) == 0;
  for (;;) {
    const int status = ask_daemon(options, request, [&](const json::object& result) {
      if (!once) fmt::print("\x1b[H\x1b[2J");
      print_top(result);
    });
    if (once || status != kFine) return status;
    std::this_thread::sleep_for(kRefreshPause);
  }
}

int tail_command(const TailOptions& options) {
  const auto client = ControlClient::connect(options.socket);
  if (!client) {
    say(client.error());
    return kUnavailable;
  }
  const auto answer = (*client)->ask({{"command", "tail"},
                                      {"address", options.address},
                                      {"rule", options.rule},
                                      {"code", options.code},
                                      {"outcomes", options.outcomes},
                                      {"ip", options.ip}});
  const std::string error = answer ? text_at(*answer, "error") : answer.error();
  if (!error.empty()) {
    say(error);
    return answer ? kUsage : kUnavailable;
  }
  const bool seen = !options.json && ::isatty(STDOUT_FILENO) != 0;  // what reads a pipe wants decisions alone
  const std::string_view head = options.outcomes ? kHeadOfOutcomes : kHead;
  if (seen) fmt::print("{}{}{}", colors_of(stdout).quiet, head, colors_of(stdout).off);
  std::fflush(stdout);
  while (const auto line = (*client)->next_line()) print_line(*line, options.json);
  say("the daemon has ended");
  return kUnavailable;
}

}  // namespace replygate
