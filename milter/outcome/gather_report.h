#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "milter/outcome/day_report.h"
#include "milter/outcome/mail_logs.h"

namespace replygate {

// What a report is made from; "" or none of one of them: the other one alone.
struct ReportSources {
  std::string history;             // a folder
  std::vector<std::string> files;  // logs of the MTA, or "journal"
};

// What is to be said of the sources, for people.
struct Gathered {
  std::vector<std::string> troubles;  // what could be read in part only
  std::string no_log;                 // why the logs tell nothing of the time of the report; "" where they do
};

// Reads all of the sources into `report`, which is not finished by it. On failure the reason, for people. What
// `progress` throws ends the reading.
tl::expected<Gathered, std::string> gather_report(const ReportSources& sources, DayReport& report,
                                                  const TellProgress& progress);

// The report of what happened since then, for people, with what could not be read at its end. `statuses`: the folder of
// an administrator's own knowledge of replies.
tl::expected<std::string, std::string> write_report(const ReportSources& sources, const std::string& statuses,
                                                    Instant since, std::string_view host, const TellProgress& progress);

// A log and those files beside it that were rotated from it, as far as they were written since then, the oldest first.
std::vector<std::string> with_rotated(const std::string& log, Instant since);

}  // namespace replygate
