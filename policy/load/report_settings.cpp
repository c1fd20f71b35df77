#include "policy/load/report_settings.h"

#include <fmt/format.h>

#include "policy/load/mail_address.h"
#include "policy/load/numbers.h"

namespace replygate {
namespace {

using Every = ReportSettings::Every;

constexpr std::pair<std::string_view, Every> kReportPeriods[] = {{"day", Every::day}, {"week", Every::week}};

void read_time_of_report(Context& context, const Entry& entry, std::int64_t& minute) {
  if (!context.expect(entry.value, Node::Kind::string, entry.key)) return;
  const auto at = parse_clock(entry.value.string);
  if (at && *at < 24 * 60) {
    minute = *at;
  } else {
    context.error(Rg::service, entry.value.region, fmt::format("\"{}\" is not a time of day", entry.value.string),
                  "write for instance \"06:00\"");
  }
}

}  // namespace

void load_report_settings(Context& context, const Node& table, ReportSettings& settings) {
  context.check_keys(table, "report", "[report]");
  if (const Entry* e = table.find("every")) {
    if (const auto every = choice(context, e->value, "every", kReportPeriods)) settings.every = *every;
  }
  if (const Entry* e = table.find("at")) read_time_of_report(context, *e, settings.at);
  const Entry* to = table.find("to");
  if (to == nullptr) {
    if (table.entries.empty()) return;
    context.error(Rg::service, table.entries.front().key_region, "[report] does not say whom",
                  "add to = \"postmaster@example.org\"");
    return;
  }
  if (to->value.kind != Node::Kind::array)
    return read_mail_address(context, to->value, "to", settings.to.emplace_back());
  for (const Node& item : to->value.items) read_mail_address(context, item, "to", settings.to.emplace_back());
}

}  // namespace replygate
