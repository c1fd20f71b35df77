// What the reader of mail logs makes of some: log_figures [--attempts] FILE…  A figure a line; with --attempts before
// them each mail with its recipients, and each attempt as sender, recipient, status, and "on" where the message went
// into another queue of the host's.

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/resource.h>

#include <chrono>
#include <cstdio>

#include "milter/outcome/mail_logs.h"

namespace replygate {
namespace {

class Printed final : public MailTrail::Listener {
 public:
  explicit Printed(bool attempts) : attempts_(attempts) {}
  void mail(const LoggedMail& mail) override {
    recipients += static_cast<std::int64_t>(mail.recipients.size());
    if (!attempts_) return;
    fmt::print("mail {} {}\n", mail.sender, fmt::join(mail.recipients, " "));
  }
  void attempt(Instant, const LoggedMail* mail, const LogEvent& event, std::string_view recipient, bool on) override {
    if (!attempts_) return;
    fmt::print("attempt {} {} {}{}\n", mail == nullptr ? "?" : mail->sender, recipient, event.status, on ? " on" : "");
  }
  void refusal(Instant, const LogEvent&) override { ++refusals; }
  void expired(Instant, const LoggedMail*, std::string_view) override {}

  std::int64_t recipients = 0;
  std::int64_t refusals = 0;

 private:
  bool attempts_;
};

int print_figures(bool attempts, const std::vector<std::string>& files) {
  Printed printed(attempts);
  const auto begin = std::chrono::steady_clock::now();
  const auto figures = read_mail_logs(files, printed, {});
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  if (!figures) {
    fmt::print(stderr, "{}\n", figures.error());
    return 66;
  }
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const MailTrail::Figures& trail = figures->trail;
  fmt::print(
      "lines {}\nlines that tell {}\nlines/s {:.0f}\nMiB {}\nmails {}\nrecipients {}\nattempts {}\norphans {}\n"
      "notices {}\nforgotten {}\nrefusals {}\n",
      figures->lines, figures->told, static_cast<double>(figures->lines) / seconds, usage.ru_maxrss / 1024, trail.mails,
      printed.recipients, trail.attempts, trail.orphans, trail.notices, trail.forgotten, printed.refusals);
  for (const std::string& trouble : figures->troubles) fmt::print(stderr, "{}\n", trouble);
  return 0;
}

}  // namespace
}  // namespace replygate

int main(int argc, char** argv) {
  std::vector<std::string> files(argv + 1, argv + argc);
  const bool attempts = !files.empty() && files.front() == "--attempts";
  if (attempts) files.erase(files.begin());
  if (files.empty()) return 64;
  return replygate::print_figures(attempts, files);
}
