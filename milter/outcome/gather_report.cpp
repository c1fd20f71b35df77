#include "milter/outcome/gather_report.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <filesystem>
#include <utility>

#include "milter/bounce/status_files.h"
#include "milter/files.h"
#include "milter/local_time.h"
#include "milter/log/history_scan.h"
#include "milter/outcome/report_page.h"
#include "milter/outcome/rotated_files.h"
#include "policy/mail/text.h"
#include "policy/scenario/scenario.h"

namespace replygate {
namespace {

namespace json = boost::json;
namespace fs = std::filesystem;

void take_record(std::string_view line, DayReport& report, bool log_follows) {
  boost::system::error_code error;
  const json::value value = json::parse(line, error);
  if (error || !value.is_object()) return;
  const json::value* time = value.get_object().if_contains("time");
  const auto when = time != nullptr && time->is_string() ? parse_time(time->get_string()) : std::nullopt;
  if (when) report.record(value.get_object(), *when, log_follows);
}

Instant written(const fs::directory_entry& file) {
  std::error_code ignored;
  const auto time = fs::file_time_type::clock::to_sys(file.last_write_time(ignored));
  return std::chrono::time_point_cast<Duration>(time);
}

// Silence of a log that was not written is no good news.
std::string why_no_log(const LogFigures& read, Instant since) {
  if (read.told == 0) return "the log tells of no mail";
  if (read.last >= since) return "";
  return fmt::format("the log ends at {:%Y-%m-%d %H:%M}, before the time of the report", local_parts(read.last));
}

}  // namespace

tl::expected<Gathered, std::string> gather_report(const ReportSources& sources, DayReport& report,
                                                  const TellProgress& progress) {
  if (!sources.history.empty()) {
    std::int64_t records = 0;
    const auto take = [&](std::string_view line) {
      take_record(line, report, !sources.files.empty());
      if (++records % 1000 == 0) progress({records, 0, 0});
    };
    const auto scanned = scan_history(sources.history, take, {});
    if (!scanned) return tl::unexpected(scanned.error());
  }
  if (sources.history.empty()) report.without_records();
  if (sources.files.empty()) return {};
  auto read = read_mail_logs(sources.files, report, progress);
  if (!read) return tl::unexpected(read.error());
  return Gathered{std::move(read->troubles), why_no_log(*read, report.since())};
}

tl::expected<std::string, std::string> write_report(const ReportSources& sources, const std::string& statuses,
                                                    Instant since, std::string_view host,
                                                    const TellProgress& progress) {
  const auto book = open_status_book(statuses);
  if (!book) return tl::unexpected(book.error());
  DayReport report(since, **book);
  const auto gathered = gather_report(sources, report, progress);
  if (!gathered) return tl::unexpected(gathered.error());
  report.finish();
  std::string text = report_text(report, fmt::format("{} since {:%Y-%m-%d %H:%M}", host, local_parts(since)));
  constexpr std::size_t kMostTroubles = 5;
  for (std::size_t i = 0; i < gathered->troubles.size() && i < kMostTroubles; ++i) {
    text += fmt::format("read in part: {}\n", without_controls(gathered->troubles[i]));
  }
  if (!gathered->no_log.empty()) text += gathered->no_log + "\n";
  return text;
}

std::vector<std::string> with_rotated(const std::string& log, Instant since) {
  if (log == "journal") return {log};
  const fs::path path(log);
  std::vector<std::pair<Instant, std::string>> rotated;
  std::error_code error;
  fs::directory_iterator file(path.parent_path(), error);
  for (; !error && file != fs::directory_iterator(); file.increment(error)) {
    std::error_code ignored;
    if (!is_rotation_of(path.filename().string(), file->path().filename().string())) continue;
    if (file->is_regular_file(ignored) && written(*file) >= since) {
      rotated.emplace_back(written(*file), file->path().string());
    }
  }
  std::ranges::sort(rotated);
  std::vector<std::string> files;
  for (auto& [time, name] : rotated) files.push_back(std::move(name));
  if (look_for(log) != Presence::absent) files.push_back(log);
  return files;
}

}  // namespace replygate
