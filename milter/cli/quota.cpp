#include <fmt/format.h>

#include <boost/json.hpp>
#include <cmath>

#include "milter/cli/ask_daemon.h"
#include "milter/cli/commands.h"
#include "milter/cli/table.h"
#include "milter/cli/when.h"
#include "milter/json_members.h"
#include "milter/log/say.h"
#include "policy/decide/record_fields.h"
#include "policy/mail/quantity.h"
#include "policy/mail/text.h"
#include "policy/scenario/scenario.h"

namespace replygate {
namespace {

namespace json = boost::json;

void print_limits(const json::object& result) {
  Table table({"rule", "limit", " used", " left", "room again", ""});
  for (const json::value& value : array_at(result, "limits")) {
    const json::object& r = value.as_object();
    table.add({text_at(r, "rule"), text_at(r, "limit"), fmt::format("{:.0f}", number_at(r, "used")),
               fmt::format("{:.0f}", number_at(r, "left")), time_from_now(text_at(r, "room_at")),
               flag_at(r, "raised")       ? "raised"
               : flag_at(r, "escalation") ? "escalation"
                                          : ""});
  }
  fmt::print("{}", table.text(terminal_width()));
}

void print_raises(const json::array& raises) {
  if (raises.empty()) return;
  Table table({"raised", "rule", " times", "until", "reason"});
  for (const json::value& value : raises) {
    const json::object& r = value.as_object();
    const std::string rule = text_at(r, "rule");
    table.add({text_at(r, "key"), rule.empty() ? "(all)" : rule, fmt::format("{:g}", number_at(r, "percent") / 100),
               local_time(text_at(r, "until")), text_at(r, "reason")});
  }
  fmt::print("\n{}", table.text(terminal_width()));
}

void print_fullest(const json::object& result) {
  const json::array& limits = array_at(result, "limits");
  Table table({"key", "rule", "limit", " used", " full", "room again"});
  for (const json::value& value : limits) {
    const json::object& r = value.as_object();
    const double most = number_at(r, "most");
    const double used = number_at(r, "used");
    table.add({text_at(r, "key"), text_at(r, "rule"), text_at(r, "limit"), fmt::format("{:.0f}", used),
               most > 0 ? fmt::format("{:.0f} %", 100 * used / most) : "", time_from_now(text_at(r, "room_at"))});
  }
  if (limits.empty()) {
    fmt::print("nobody who sent lately has used anything of a limit\n");
  } else {
    fmt::print("{}", table.text(terminal_width()));
  }
  print_raises(array_at(result, "raises"));
}

// "2h" from now, or RFC 3339.
std::optional<Instant> end_of(const std::string& text) {
  const Instant now = std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now());
  if (const auto duration = parse_duration(text)) return now + *duration;
  return parse_time(text);
}

}  // namespace

int quota_show_command(const QuotaOptions& options) {
  return ask_daemon(options, {{"command", "quota-show"}, {"key", options.key}, {"rule", options.rule}}, print_limits);
}

int quota_list_command(const QuotaListOptions& options) {
  return ask_daemon(options, {{"command", "quota-list"}, {"count", options.count}, {"rule", options.rule}},
                    print_fullest);
}

int quota_reset_command(const QuotaOptions& options) {
  return ask_daemon(options, {{"command", "quota-reset"}, {"key", options.key}, {"rule", options.rule}},
                    [](const json::object& result) {
                      fmt::print("{} of {} reset\n",
                                 counted(static_cast<std::uint64_t>(number_at(result, "reset")), "counter"),
                                 text_at(result, "key"));
                    });
}

int quota_raise_command(const QuotaOptions& options) {
  const auto until = end_of(options.until);
  if (!until) {
    say(fmt::format("\"{}\" is not a time; write \"2h\" or \"2026-11-22T18:00:00Z\"", options.until));
    return kUsage;
  }
  const auto percent = static_cast<std::int64_t>(std::lround(options.times * 100));
  return ask_daemon(options,
                    {{"command", "quota-raise"},
                     {"key", options.key},
                     {"rule", options.rule},
                     {"percent", percent},
                     {"until", detail::format_time(*until)},
                     {"reason", options.reason}},
                    [](const json::object& result) {
                      const std::string end = text_at(result, "until");
                      if (number_at(result, "percent") == 100) {
                        fmt::print("limits of {} are as the policy says\n", text_at(result, "key"));
                        return;
                      }
                      fmt::print("limits of {} are {:.0f} % until {} ({})\n", text_at(result, "key"),
                                 number_at(result, "percent"), local_time(end), time_from_now(end));
                      if (result.contains("counted") && !flag_at(result, "counted")) {
                        say("nothing has been counted for this key yet; look at its spelling");
                      }
                    });
}

}  // namespace replygate
