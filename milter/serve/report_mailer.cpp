#include "milter/serve/report_mailer.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "milter/files.h"
#include "milter/guarded.h"
#include "milter/serve/report_times.h"
#include "milter/thread_name.h"
#include "policy/decide/record_fields.h"
#include "policy/mail/text.h"
#include "policy/scenario/scenario.h"

namespace replygate {
namespace {

constexpr std::chrono::seconds kBetweenLooks{20};
constexpr std::chrono::minutes kBetweenTries{5};
constexpr int kNice = 15;
constexpr std::size_t kMostOfMark = 100;

struct Stopped {};

// Nothing where it does not say.
std::optional<Instant> read_mark(const std::string& path) {
  if (path.empty()) return std::nullopt;
  std::string why;
  const auto text = read_file(path, why, kMostOfMark);
  return text ? parse_time(trim(*text)) : std::nullopt;
}

Note note_of(const std::string& text) {
  const std::size_t end = std::min(text.find('\n'), text.size());
  return {.event = "report", .subject = "replygate: " + text.substr(0, end), .text = text};
}

}  // namespace

ReportMailer::ReportMailer(ReportSettings settings, std::string mark, Write write, std::unique_ptr<NoteCarrier> carrier,
                           const Clock& clock, Troubles& troubles)
    : settings_(std::move(settings)),
      mark_(std::move(mark)),
      write_(std::move(write)),
      carrier_(std::move(carrier)),
      clock_(clock),
      troubles_(troubles),
      told_(std::min(read_mark(mark_).value_or(Instant::max()), now())) {}

void ReportMailer::look() {
  const Instant until = now();
  told_ = std::min(told_, until);
  if (unmarked_) keep_mark();
  if (report_due(settings_, until) <= told_ || clock_.now() < retry_) return;
  retry_ = clock_.now() + kBetweenTries;
  try {
    const auto sent = send(until);
    if (!sent) return troubles_.tell("report", {"[report] " + sent.error()});
    retry_ = {};
    troubles_.tell("report", {});
    keep_mark();
  } catch (const Stopped&) {  // it is due again after the start
  }
}

tl::expected<void, std::string> ReportMailer::send(Instant until) {
  const auto go_on = [this] {
    if (stopping_) throw Stopped();
  };
  const auto text = write_(told_, go_on);
  if (!text) return tl::unexpected(text.error());
  if (auto carried = carrier_->carry(note_of(*text)); !carried) return carried;
  told_ = until;
  return {};
}

// Without it a restart would tell of the same time again.
void ReportMailer::keep_mark() {
  if (mark_.empty()) return;
  const auto kept = replace_file(mark_, detail::format_time(told_) + "\n");
  unmarked_ = !kept;
  troubles_.tell("report", {kept ? "" : "[report] " + kept.error()});
}

void ReportMailer::start() {
  thread_ = std::thread([this] {
    name_thread("report");
    ::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), kNice);
    run();
  });
}

void ReportMailer::run() {
  if (!mark_.empty() && look_for(mark_) == Presence::absent) {
    guarded("report", [this] { keep_mark(); });
  }
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, kBetweenLooks, [this] { return stopping_.load(); })) {
    lock.unlock();
    guarded("report", [this] { look(); });
    lock.lock();
  }
}

void ReportMailer::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  carrier_->stop();
  if (thread_.joinable()) thread_.join();
}

}  // namespace replygate
