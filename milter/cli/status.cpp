#include <fmt/format.h>

#include <boost/json.hpp>

#include "milter/cli/ask_daemon.h"
#include "milter/cli/commands.h"
#include "milter/cli/table.h"
#include "milter/json_members.h"
#include "milter/log/say.h"

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

std::string milliseconds(double microseconds) { return fmt::format("{:.3f} ms", microseconds / 1000); }

void print_waits(const json::object& waits) {
  for (const auto& [stage, value] : waits) {
    const json::object& wait = value.as_object();
    fmt::print("waits      {:<8} p50 {:>10}  p99 {:>10}  of {:.0f}\n", std::string_view(stage),
               milliseconds(number_at(wait, "p50_us")), milliseconds(number_at(wait, "p99_us")),
               number_at(wait, "count"));
  }
}

int print_status(const json::object& s) {
  const json::object& policy = object_at(s, "policy");
  const json::object& milter = object_at(s, "milter");
  const json::object& store = object_at(s, "store");
  const std::string trouble = text_at(s, "trouble");
  fmt::print("replygate  {}, pid {:.0f}, since {}\n", text_at(s, "version"), number_at(s, "pid"),
             text_at(s, "started"));
  fmt::print("state      {}\n", trouble.empty() ? "fine" : trouble);
  for (const json::value& value : array_at(s, "troubles")) {
    const json::object& one = value.as_object();
    fmt::print("trouble    since {}: {}\n", text_at(one, "since"), text_at(one, "what"));
  }
  fmt::print("policy     {} with {:.0f} rules, since {}, from {}\n", text_at(policy, "id"), number_at(policy, "rules"),
             text_at(policy, "since"), text_at(policy, "file"));
  if (flag_at(policy, "last_good")) fmt::print("           the last good one: the file is in error\n");
  if (const auto why = text_at(policy, "trouble"); !why.empty()) fmt::print("           in the file: {}\n", why);
  if (const auto& waiting = array_at(policy, "waiting"); !waiting.empty()) {
    fmt::print("           taken at the next start: {}\n", joined(waiting));
  }
  fmt::print("reloads    {:.0f} taken, {:.0f} in error\n", number_at(policy, "reloads"),
             number_at(policy, "failed_reloads"));
  fmt::print("milter     {} at {}; {:.0f} sessions, {:.0f} transactions, {:.0f} sessions since the start\n",
             text_at(milter, "engine"), joined(array_at(milter, "listen")), number_at(milter, "sessions"),
             number_at(milter, "transactions"), number_at(milter, "sessions_since_start"));
  const std::string store_trouble = text_at(store, "trouble");
  fmt::print("store      {}: {}; {:.0f} failures, {:.0f} evictions\n", text_at(store, "backend"),
             store_trouble.empty() ? "fine" : store_trouble, number_at(store, "failures"),
             number_at(store, "evictions"));
  for (const json::value& place : array_at(s, "log")) {
    const std::string log_trouble = text_at(place.as_object(), "trouble");
    fmt::print("log        {}: {:.0f} dropped{}{}\n", text_at(place.as_object(), "place"),
               number_at(place.as_object(), "dropped"), log_trouble.empty() ? "" : "; ", log_trouble);
  }
  print_waits(object_at(s, "waits"));
  return trouble.empty() ? kFine : kFound;
}

int print_rules(const json::object& result) {
  Table table({"rule", "mode", " hits", " observed", " warned", " unknown", " fullest", " p99 ms", "last"});
  for (const json::value& value : array_at(result, "rules")) {
    const json::object& r = value.as_object();
    table.add({text_at(r, "rule"), text_at(r, "mode"), fmt::format("{:.0f}", number_at(r, "hits")),
               fmt::format("{:.0f}", number_at(r, "observed")), fmt::format("{:.0f}", number_at(r, "warnings")),
               fmt::format("{:.0f}", number_at(r, "unknown")), fmt::format("{:.0f}%", 100 * number_at(r, "fullest")),
               fmt::format("{:.3f}", number_at(r, "p99_us") / 1000), text_at(r, "last")});
  }
  fmt::print("{}", table.text(terminal_width()));
  return kFine;
}

}  // namespace

int status_command(const ControlOptions& options) { return ask_daemon(options, {{"command", "status"}}, print_status); }

int rules_command(const ControlOptions& options) { return ask_daemon(options, {{"command", "rules"}}, print_rules); }

int reload_command(const ControlOptions& options) {
  return ask_daemon(options, {{"command", "reload"}}, [](const json::object& result) {
    if (const std::string messages = text_at(result, "messages"); !messages.empty()) fmt::print(stderr, "{}", messages);
    if (const auto& waiting = array_at(result, "waiting"); !waiting.empty()) {
      say(fmt::format("changed, and taken at the next start: {}", joined(waiting)));
    }
    fmt::print("policy {}\n", text_at(result, "policy"));
    return kFine;
  });
}

int drain_command(const DrainOptions& options) {
  return ask_daemon(options, {{"command", "drain"}, {"off", options.off}}, [](const json::object& result) {
    fmt::print("{}; {:.0f} sessions and {:.0f} transactions are open\n",
               flag_at(result, "draining") ? "new sessions are turned away" : "new sessions are let in",
               number_at(result, "sessions"), number_at(result, "transactions"));
    return kFine;
  });
}

}  // namespace replygate
