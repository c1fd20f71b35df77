#include "milter/log/history_scan.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <system_error>
#include <vector>

#include "milter/log/history_press.h"
#include "milter/log/history_segment.h"
#include "milter/lookup/sqlite.h"

namespace replygate {
namespace {

struct Segment {
  std::uint64_t number = 0;
  std::string path;
};

tl::expected<std::vector<Segment>, std::string> segments_in(const std::string& folder) {
  namespace fs = std::filesystem;
  std::vector<Segment> segments;
  std::error_code error;
  fs::directory_iterator entry(folder, error);
  if (error) return tl::unexpected(fmt::format("{}: {}", folder, error.message()));
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    Segment segment{0, entry->path().string()};
    const auto [end, problem] = std::from_chars(name.data(), name.data() + name.size(), segment.number);
    if (problem == std::errc() && std::string_view(end) == ".db") segments.push_back(std::move(segment));
  }
  if (segments.empty()) return tl::unexpected(fmt::format("{}: there is no history in it", folder));
  std::ranges::sort(segments, {}, &Segment::number);
  return segments;
}

// False: no more is wanted.
using TakeText = std::function<bool(std::string_view)>;

// Each value of the first column; "", or why it ended too early.
std::string each_row(sqlite3* db, const char* sql, const TakeText& take) {
  std::string why;
  const auto query = sqlite::prepare(db, sql, why);
  if (!query) return why;
  int step = SQLITE_ROW;
  while ((step = sqlite3_step(query.get())) == SQLITE_ROW) {
    if (!take(sqlite::octets(query.get(), 0))) return "";
  }
  return step == SQLITE_DONE ? "" : sqlite3_errmsg(db);
}

bool each_line(std::string_view text, const TakeText& take) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    if (end > 0 && !take(text.substr(0, end))) return false;
    text.remove_prefix(std::min(text.size(), end + 1));
  }
  return true;
}

bool has_table(sqlite3* db, const std::string& name) {
  bool there = false;
  each_row(db, ("SELECT 1 FROM sqlite_master WHERE name = '" + name + "'").c_str(),
           [&there](std::string_view) { return there = true; });
  return there;
}

// "", or why not all of it was read.
std::string scan_segment(const std::string& path, const TakeText& take) {
  std::string why;
  const sqlite::Database db = sqlite::open(path, why);
  if (!db) return why;
  if (sqlite3_exec(db.get(), "BEGIN", nullptr, nullptr, nullptr) != SQLITE_OK) return sqlite3_errmsg(db.get());
  bool wanted = true;
  const auto lines = [&](std::string_view text) { return wanted = each_line(text, take); };
  // Before there were blocks each record was a row.
  if (has_table(db.get(), "record")) why = each_row(db.get(), "SELECT json FROM record ORDER BY id", lines);
  if (why.empty() && wanted) {
    why = each_row(db.get(), "SELECT pressed FROM block ORDER BY id",
                   [&](std::string_view pressed) { return lines(unpress(pressed)); });
  }
  return why.empty() && wanted ? each_row(db.get(), "SELECT lines FROM tail ORDER BY id", lines) : why;
}

// Its time may be over meanwhile.
bool is_gone(const std::string& path) {
  std::error_code ignored;
  return !std::filesystem::exists(path, ignored);
}

}  // namespace

tl::expected<ScanProgress, std::string> scan_history(const std::string& folder,
                                                     const std::function<void(std::string_view)>& take,
                                                     const std::function<void(const ScanProgress&)>& progress) {
  constexpr std::int64_t kRecordsBetween = 2000;
  const auto segments = segments_in(folder);
  if (!segments) return tl::unexpected(segments.error());
  ScanProgress so_far;
  for (const Segment& segment : *segments) so_far.of_octets += HistorySegment::octets_of(segment.path);
  for (const Segment& segment : *segments) {
    const std::string why = scan_segment(segment.path, [&](std::string_view line) {
      take(line);
      if (++so_far.records % kRecordsBetween == 0 && progress) progress(so_far);
      return true;
    });
    if (!why.empty() && !is_gone(segment.path)) return tl::unexpected(fmt::format("{}: {}", segment.path, why));
    so_far.octets += HistorySegment::octets_of(segment.path);
    if (progress) progress(so_far);
  }
  return so_far;
}

tl::expected<bool, std::string> history_has(const std::string& folder,
                                            const std::function<bool(std::string_view)>& is_it) {
  const auto segments = segments_in(folder);
  if (!segments) return tl::unexpected(segments.error());
  bool found = false;
  for (const Segment& segment : *segments) {
    const std::string why =
        scan_segment(segment.path, [&](std::string_view line) { return !(found = found || is_it(line)); });
    if (found) return true;
    if (!why.empty() && !is_gone(segment.path)) return tl::unexpected(fmt::format("{}: {}", segment.path, why));
  }
  return false;
}

}  // namespace replygate
