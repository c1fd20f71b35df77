#include <fmt/format.h>

#include <boost/json.hpp>

#include "milter/cli/ask_daemon.h"
#include "milter/cli/commands.h"
#include "milter/cli/table.h"
#include "milter/cli/when.h"
#include "milter/json_members.h"
#include "milter/log/say.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

namespace json = boost::json;

std::string joined(const json::array& texts) {
  std::string all;
  for (const json::value& text : texts) {
    all += all.empty() ? "" : ", ";
    all += text.is_string() ? std::string_view(text.as_string()) : std::string_view();
  }
  return all;
}

std::string counted_at(const json::object& object, std::string_view key, std::string_view one) {
  return counted(static_cast<std::uint64_t>(number_at(object, key)), one);
}

// "2026-11-29 18:02:11 (3 min ago)"
std::string when(const std::string& time) { return fmt::format("{} ({})", local_time(time), time_from_now(time)); }

std::string milliseconds(double microseconds) { return fmt::format("{:.3f} ms", microseconds / 1000); }

void print_waits(const json::object& waits) {
  for (const auto& [stage, value] : waits) {
    const json::object& wait = value.as_object();
    fmt::print("waits      {:<8} p50 {:>10}  p99 {:>10}  of {:.0f}\n", std::string_view(stage),
               milliseconds(number_at(wait, "p50_us")), milliseconds(number_at(wait, "p99_us")),
               number_at(wait, "count"));
  }
}

constexpr std::size_t kIndentOfStatus = 11;

void status_line(std::string_view head, const std::string& text) {
  fmt::print("{}", labelled(head, kIndentOfStatus, text));
}

void print_policy(const json::object& policy) {
  status_line("policy",
              fmt::format("{} with {}, since {}, from {}", text_at(policy, "id"), counted_at(policy, "rules", "rule"),
                          when(text_at(policy, "since")), text_at(policy, "file")));
  if (flag_at(policy, "last_good")) status_line("", "the last good one: the file is invalid");
  if (const auto why = text_at(policy, "trouble"); !why.empty()) status_line("", "in the file: " + why);
  if (const auto& waiting = array_at(policy, "waiting"); !waiting.empty()) {
    status_line("", "in force after a restart: " + joined(waiting));
  }
  status_line("reloads", fmt::format("{:.0f} applied, {:.0f} rejected", number_at(policy, "reloads"),
                                     number_at(policy, "failed_reloads")));
}

void print_logs(const json::array& places) {
  for (const json::value& value : places) {
    const json::object& place = value.as_object();
    const std::string trouble = text_at(place, "trouble");
    status_line("log", fmt::format("{}: {:.0f} dropped{}{}", text_at(place, "place"), number_at(place, "dropped"),
                                   trouble.empty() ? "" : "; ", trouble));
  }
}

void print_outcomes(const json::object& o) {
  if (o.empty()) return;
  const double lost = number_at(o, "forgotten") + number_at(o, "dropped");
  status_line("outcomes",
              fmt::format("{}: {} of {}, {} of mail unknown here; {} with {} remembered{}", text_at(o, "log"),
                          counted_at(o, "outcomes", "outcome"), counted_at(o, "attempts", "attempt"),
                          fmt::format("{:.0f}", number_at(o, "unknown")), counted_at(o, "messages", "message"),
                          counted_at(o, "recipients", "recipient"),
                          lost == 0 ? "" : fmt::format(", {:.0f} forgotten too early", lost)));
}

void print_status(const json::object& s) {
  const json::object& milter = object_at(s, "milter");
  const json::object& store = object_at(s, "store");
  const std::string trouble = text_at(s, "trouble");
  status_line("replygate", fmt::format("{}, pid {:.0f}, since {}", text_at(s, "version"), number_at(s, "pid"),
                                       when(text_at(s, "started"))));
  status_line("state", trouble.empty() ? "fine" : trouble);
  for (const json::value& value : array_at(s, "troubles")) {
    const json::object& one = value.as_object();
    status_line("trouble", fmt::format("since {}: {}", when(text_at(one, "since")), text_at(one, "what")));
  }
  print_policy(object_at(s, "policy"));
  status_line("milter", fmt::format("{} at {}; {}, {}, {} since the start", text_at(milter, "engine"),
                                    joined(array_at(milter, "listen")), counted_at(milter, "sessions", "session"),
                                    counted_at(milter, "transactions", "transaction"),
                                    counted_at(milter, "sessions_since_start", "session")));
  const std::string store_trouble = text_at(store, "trouble");
  status_line("store",
              fmt::format("{}: {}; {}, {}", text_at(store, "backend"), store_trouble.empty() ? "fine" : store_trouble,
                          counted_at(store, "failures", "failure"), counted_at(store, "evictions", "eviction")));
  print_logs(array_at(s, "log"));
  print_outcomes(object_at(s, "outcomes"));
  print_waits(object_at(s, "waits"));
}

// Columns in which nothing has happened are left out.
std::string number_or_blank(const json::object& row, std::string_view key) {
  const double number = number_at(row, key);
  return number == 0 ? "" : fmt::format("{:.0f}", number);
}

void print_rules(const json::object& result) {
  Table table({"rule", "mode", " hits", " observed", " warned", " unknown", " fullest", " p99 ms", "last"});
  for (const json::value& value : array_at(result, "rules")) {
    const json::object& r = value.as_object();
    table.add({text_at(r, "rule"), text_at(r, "mode"), fmt::format("{:.0f}", number_at(r, "hits")),
               number_or_blank(r, "observed"), number_or_blank(r, "warnings"), number_or_blank(r, "unknown"),
               number_at(r, "fullest") == 0 ? "" : fmt::format("{:.0f} %", 100 * number_at(r, "fullest")),
               fmt::format("{:.3f}", number_at(r, "p99_us") / 1000), time_from_now(text_at(r, "last"))});
  }
  fmt::print("{}", table.text(terminal_width()));
}

}  // namespace

int status_command(const ControlOptions& options) {
  return ask_daemon(options, {{"command", "status"}}, print_status,
                    [](const json::object& s) { return text_at(s, "trouble").empty() ? kFine : kFound; });
}

int rules_command(const ControlOptions& options) { return ask_daemon(options, {{"command", "rules"}}, print_rules); }

int reload_command(const ControlOptions& options) {
  return ask_daemon(options, {{"command", "reload"}}, [](const json::object& result) {
    if (const std::string messages = text_at(result, "messages"); !messages.empty()) fmt::print(stderr, "{}", messages);
    if (const auto& waiting = array_at(result, "waiting"); !waiting.empty()) {
      say(fmt::format("changed, and in force after a restart: {}", joined(waiting)));
    }
    fmt::print("policy {}\n", text_at(result, "policy"));
  });
}

int drain_command(const DrainOptions& options) {
  return ask_daemon(options, {{"command", "drain"}, {"off", options.off}}, [](const json::object& result) {
    fmt::print("{}; open: {}, {}\n",
               flag_at(result, "draining") ? "new sessions are turned away" : "new sessions are let in",
               counted_at(result, "sessions", "session"), counted_at(result, "transactions", "transaction"));
  });
}

}  // namespace replygate
