#include <fmt/format.h>

#include <boost/json.hpp>

#include "milter/cli/ask_daemon.h"
#include "milter/cli/colors.h"
#include "milter/cli/commands.h"
#include "milter/cli/outcome_text.h"
#include "milter/cli/table.h"
#include "milter/cli/when.h"
#include "milter/json_members.h"
#include "milter/log/say.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

namespace json = boost::json;

constexpr std::size_t kIndentOfWhy = 10;

void why_line(std::string_view head, const std::string& text) {
  fmt::print("{}", labelled(fmt::format("  {}", head), kIndentOfWhy, text));
}

void print_limits(const json::object& judged) {
  for (const json::value& value : array_at(judged, "limits")) {
    const json::object& l = value.as_object();
    const std::string room = text_at(l, "room_at");
    why_line(flag_at(l, "fits") ? "room" : "full",
             fmt::format("{} of {} used {:.0f} of {:.0f} {} / {}{}", text_at(l, "rule"), text_at(l, "key"),
                         number_at(l, "used"), number_at(l, "limit"), text_at(l, "unit"), text_at(l, "window"),
                         room.empty() ? "" : ", room again at " + local_time(room)));
  }
  for (const json::value& value : array_at(judged, "greylist")) {
    const json::object& g = value.as_object();
    const std::string room = text_at(g, "room_at");
    why_line("grey", fmt::format("{}: {} is {}{}", text_at(g, "rule"), text_at(g, "key"), text_at(g, "state"),
                                 room.empty() ? "" : ", passes at " + local_time(room)));
  }
}

// Words with a blank between them, those that are there.
std::string words(std::initializer_list<std::string> all) {
  std::string text;
  for (const std::string& word : all) text += word.empty() ? "" : (text.empty() ? "" : " ") + word;
  return text;
}

std::string code_of(const json::object& reply) {
  const double code = number_at(reply, "code");
  return code == 0 ? "" : fmt::format("{:.0f}", code);
}

// A classification is the policy's; of the MTA's own refusals none is known.
void print_finding(std::string_view head, const json::object& f) {
  const Colors colors = colors_of(stdout);
  const char* color = head == "would" ? colors.warning : colors.bad;
  const json::object& reply = object_at(f, "reply");
  const std::string text = text_at(reply, "text");
  const bool code_in_text = !code_of(reply).empty() && text.starts_with(code_of(reply));
  const std::string answer = code_in_text ? text : words({code_of(reply), text_at(reply, "enhanced"), text});
  fmt::print("  {:<8}{}{}{}\n", head, color, wrapped(answer, kIndentOfWhy, terminal_width()), colors.off);
  const std::string kind = text_at(f, "classification");
  const std::string detail = text_at(f, "detail");
  why_line("", fmt::format("{}{}{} bounce{}{}", kind, kind.empty() ? "" : ", ", text_at(f, "bounce"),
                           detail.empty() ? "" : ": ", detail));
  if (!text_at(f, "rule").empty()) {
    why_line("rule", fmt::format("{} ({}), cause: {}", text_at(f, "rule"), text_at(f, "place"), text_at(f, "cause")));
  }
}

// What a rule in observe mode would have said or done.
void print_observed(const json::object& observed) {
  const std::string action = text_at(observed, "action");
  if (action.empty()) return print_finding("would", observed);
  why_line("would", fmt::format("{} it, by {} ({})", action, text_at(observed, "rule"), text_at(observed, "place")));
}

// "let through by RULE (PLACE)": what became of what passes.
std::string passed(const json::object& judged, const json::object& record) {
  const std::string held = text_at(record, "held");
  const std::string rule = text_at(judged, "rule");
  const std::string by = rule.empty() ? "" : " by " + rule + " (" + text_at(judged, "place") + ")";
  if (flag_at(record, "discarded")) return "accepted and discarded" + by;
  return held.empty() ? "let through" + by : "held" + by + ": " + held;
}

// What was said of a recipient, or of the message.
void print_verdict(const json::object& judged, const json::object& record) {
  const std::string action = text_at(judged, "action");
  if (text_at(judged, "mode") == "counting-only") {
    fmt::print("  answer  let through: mail of local submission is counted, never refused\n");
    print_finding("would", judged);
  } else if (action == "pass") {
    const Colors colors = colors_of(stdout);
    fmt::print("  answer  {}{}{}\n", colors.good, passed(judged, record), colors.off);
  } else {
    print_finding(action == "refuse" ? "answer" : "the MTA", judged);
  }
  for (const json::value& value : array_at(judged, "observed")) print_observed(value.as_object());
  for (const json::value& value : array_at(judged, "unknown")) {
    const json::array& unread = array_at(judged, "unread");
    const bool store = std::ranges::find(unread, value) != unread.end();
    fmt::print("  unknown {} could not be judged{}\n", std::string_view(value.as_string()),
               store ? ": the store did not answer" : "");
  }
  print_limits(judged);
}

bool is_about(const json::object& recipient, std::string_view word) {
  return equal_ignoring_case(text_at(recipient, "recipient"), word) || text_at(recipient, "ref") == word;
}

// What became of it, and what to do where that is not well.
void print_outcomes(const json::object& recipient) {
  const Colors colors = colors_of(stdout);
  const json::array& outcomes = array_at(recipient, "outcomes");
  for (const json::value& value : outcomes) {
    const json::object& outcome = value.as_object();
    const std::string time = text_at(outcome, "time");
    const std::string kind = text_at(outcome, "outcome");
    const char* color = kind == "delivered" ? colors.good : kind == "deferred" ? colors.warning : colors.bad;
    fmt::print("  {:<8}{}{}{}\n", "became", color,
               wrapped(fmt::format("{} {}", local_clock(time), outcome_text(outcome)), kIndentOfWhy, terminal_width()),
               colors.off);
    if (kind == "delivered" || &value != &outcomes.back()) continue;
    for (const json::value& line : array_at(object_at(outcome, "status"), "do")) {
      if (line.is_string()) why_line("do", std::string(line.as_string()));
    }
  }
}

void print_record(const json::object& r, std::string_view word) {
  const std::string outcome = text_at(r, "held").empty() ? text_at(r, "outcome") : "held";
  const std::string queue_id = text_at(r, "queue_id");
  fmt::print("{}", labelled("", 0,
                            fmt::format("{} ({})  {}  ref {}  queue id {}", local_time(text_at(r, "time")),
                                        time_from_now(text_at(r, "time")), outcome, text_at(r, "ref"),
                                        queue_id.empty() ? "none" : queue_id)));
  const std::string user = text_at(r, "user");
  why_line("client", fmt::format("{}[{}], helo {}{}", text_at(r, "client_name"), text_at(r, "client_ip"),
                                 text_at(r, "helo"), user.empty() ? "" : ", user " + user));
  fmt::print("  from    <{}>\n", text_at(r, "sender"));
  if (const json::object& message = object_at(r, "message"); !message.empty()) print_verdict(message, r);
  const json::array& recipients = array_at(r, "recipients");
  const bool some =
      std::ranges::any_of(recipients, [&](const json::value& v) { return is_about(v.as_object(), word); });
  for (const json::value& value : recipients) {
    const json::object& recipient = value.as_object();
    if (some && !is_about(recipient, word)) continue;
    fmt::print("  to      <{}>  ref {}\n", text_at(recipient, "recipient"), text_at(recipient, "ref"));
    print_verdict(recipient, r);
    print_outcomes(recipient);
  }
  for (const json::value& value : array_at(r, "more")) {
    const std::string added = text_at(value.as_object(), "recipient");
    fmt::print("{}", added.empty() ? "  to      somebody whom the report does not name\n"
                                   : fmt::format("  added   <{}> by the MTA\n", added));
    print_outcomes(value.as_object());
  }
  fmt::print("  policy  {}\n\n", text_at(r, "policy"));
}

// Of a decision that the history no longer has.
void print_outcome_alone(const json::object& r) {
  for (const json::value& value : array_at(r, "recipients")) {
    const json::object& outcome = value.as_object();
    fmt::print("{}", labelled("", 0,
                              fmt::format("{} ({})  <{}> to <{}>  ref {}  queue id {}: {}",
                                          local_time(text_at(r, "time")), time_from_now(text_at(r, "time")),
                                          text_at(r, "sender"), text_at(outcome, "recipient"), text_at(r, "ref"),
                                          text_at(r, "queue_id"), outcome_text(outcome))));
  }
  fmt::print("\n");
}

void print_records(const json::array& records, std::string_view word) {
  for (const json::value& record : records) {
    const bool alone = text_at(record.as_object(), "event") == "outcome";
    alone ? print_outcome_alone(record.as_object()) : print_record(record.as_object(), word);
  }
  if (!records.empty()) return;
  say(fmt::format(
      "nothing is known of \"{}\"; the history may have ended before it{}", word,
      word.find_first_of(" #") == std::string_view::npos ? "" : "; `replygate explain` reads a reply or a bounce"));
}

}  // namespace

int why_command(const WhyOptions& options) {
  return ask_daemon(
      options, {{"command", "why"}, {"word", options.word}, {"count", options.count}},
      [&](const json::object& result) { print_records(array_at(result, "records"), options.word); },
      [](const json::object& result) { return array_at(result, "records").empty() ? kFound : kFine; });
}

}  // namespace replygate
