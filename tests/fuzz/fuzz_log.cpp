// Lines of mail logs, and what a trail makes of them. What an event tells stands in its line, and outlives it when it
// is kept.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <set>
#include <string>

#include "policy/remote/kept_event.h"
#include "policy/remote/log_line.h"
#include "policy/remote/mail_trail.h"

namespace {

using namespace replygate;

class Listener final : public MailTrail::Listener {
 public:
  void mail(const LoggedMail& mail) override { told.emplace(mail.time, mail.id); }
  void attempt(Instant, const LoggedMail* mail, const LogEvent& event, std::string_view, bool) override {
    if (mail != nullptr && mail->id.empty()) std::abort();
    status_of(event);
  }
  void refusal(Instant, const LogEvent& event) override { status_of(event); }
  void expired(Instant, const LoggedMail*, std::string_view) override {}
  std::set<std::pair<Instant, std::string>> told;
};

void demand_within(std::string_view line, std::string_view part) {
  if (part.empty()) return;
  const bool within = part.data() >= line.data() && part.data() + part.size() <= line.data() + line.size();
  if (!within && part != "unknown" && part != "NOQUEUE" && part.size() > 16) std::abort();  // words of our own
}

void look_at(std::string_view line) {
  const LogEvent event = read_log_event(line);
  for (const std::string_view part :
       {event.id, event.next, event.client_ip, event.sender, event.recipient, event.text}) {
    demand_within(line, part);
  }
  const KeptEvent kept(event);
  if (kept.event().text != event.text || kept.event().recipient != event.recipient) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  Listener listener;
  MailTrail trail(listener);
  Instant now{std::chrono::hours(490000)};
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const std::string line(rest.substr(0, end));
    look_at(line);
    trail.take(now, read_log_event(line));
    now += std::chrono::seconds(line.size() % 40);
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  trail.finish();
  if (trail.figures().mails < static_cast<std::int64_t>(listener.told.size())) std::abort();
  return 0;
}
