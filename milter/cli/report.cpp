#include <fmt/chrono.h>
#include <fmt/format.h>

#include "milter/bounce/status_files.h"
#include "milter/cli/catalogue_json.h"
#include "milter/cli/commands.h"
#include "milter/cli/past.h"
#include "milter/cli/progress.h"
#include "milter/local_time.h"
#include "milter/outcome/gather_report.h"
#include "milter/outcome/report_page.h"
#include "milter/serve/note_carrier.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

void print_mail(const std::string& to, std::string_view host, std::string_view text) {
  fmt::print(
      "To: {}\nSubject: replygate on {}: {}\nAuto-Submitted: auto-generated\nMIME-Version: 1.0\n"
      "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n{}",
      without_controls(to), host, text.substr(0, text.find('\n')).substr(0, 200), text);
}

// What the command was told; without logs, or with its folder named, the history too.
ReportSources sources_of(const ReportOptions& o) {
  const bool records = o.files.empty() || !o.history.empty();
  return {records ? source_of(PastOptions{o.history, {}}, nullptr).history : "", o.files};
}

}  // namespace

int report_command(const ReportOptions& options) {
  const auto since = since_of("report", options.since);
  if (!since) return kUsage;
  if (const std::string why = why_unread(options.statuses); !why.empty()) {
    fmt::print(stderr, "replygate report: {}\n", why);
    return kNoInput;
  }
  auto book = open_status_book(options.statuses);
  if (!book) {
    fmt::print(stderr, "replygate report: {}\n", book.error());
    return kPolicyError;
  }
  DayReport report(*since, **book);
  Progress progress("lines");
  const ReportSources sources = sources_of(options);
  const auto gathered = gather_report(sources, report, [&](const LogProgress& so_far) { progress.tell(so_far); });
  progress.clear();
  if (!gathered) {
    fmt::print(stderr, "replygate report: {}\n", gathered.error());
    return kNoInput;
  }
  for (const std::string& trouble : gathered->troubles) fmt::print(stderr, "replygate report: {}\n", trouble);
  if (!gathered->no_log.empty()) fmt::print(stderr, "replygate report: {}\n", gathered->no_log);
  if (!gathered->no_log.empty() && sources.history.empty()) return kNoInput;
  report.finish();
  const std::string head =
      options.since.empty() ? "all of it" : fmt::format("since {:%Y-%m-%d %H:%M}", local_parts(*since));
  if (options.json) {
    fmt::print("{}", line_of(report_json(report)));
  } else if (!options.mail.empty()) {
    print_mail(options.mail, host_name(), report_text(report, head));
  } else {
    fmt::print("{}", report_text(report, head));
  }
  return kFine;
}

}  // namespace replygate
