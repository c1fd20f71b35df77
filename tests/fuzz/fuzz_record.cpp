// Whatever a client says is one event in each log: JSON of one line, a line of logfmt for each recipient, a short line
// of printable ASCII, and a journal entry whose fields are the ones that we make.

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "milter/log/journal.h"
#include "policy/decide/record_summary.h"
#include "policy/decide/refs.h"
#include "policy/decide/session.h"
#include "tests/fuzz/fuzz_desk.h"

namespace {

using namespace replygate;

class Check final : public RecordSink {
 public:
  void write(Record record) override {
    Rendering rendering(record);
    const std::string& json = rendering.json();
    boost::json::parse(json.substr(0, json.size() - 1));
    if (std::ranges::count(json, '\n') != 1) std::abort();
    const auto lines = std::max<std::size_t>(record.recipients.size(), 1);
    if (static_cast<std::size_t>(std::ranges::count(rendering.logfmt(), '\n')) != lines) std::abort();
    for (const JudgedRecipient& judged : record.recipients) {
      const std::string line = summary(record, &judged);
      if (line.size() > 900 || !std::ranges::all_of(line, [](char c) { return c >= ' ' && c <= '~'; })) std::abort();
      const std::string entry = Journal::entry(rendering, &judged);
      for (std::size_t at = 0; at < entry.size(); at = entry.find('\n', at) + 1) {
        constexpr std::array<std::string_view, 4> ours = {"MESSAGE=", "PRIORITY=", "SYSLOG_", "REPLYGATE_"};
        if (std::ranges::none_of(ours,
                                 [&](std::string_view name) { return entry.compare(at, name.size(), name) == 0; })) {
          std::abort();
        }
      }
    }
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static test::FuzzDesk office;
  static Gate gate(office.store);
  static References references(1);
  Check sink;
  const auto part = [&](std::size_t number) {
    const std::size_t begin = size * number / 6;
    return std::string(reinterpret_cast<const char*>(data) + begin, size * (number + 1) / 6 - begin);
  };
  Session session(office.first, {gate, sink, references}, {});
  const auto ignore = [](const Answer&) {};
  const Instant now = office.clock.now();
  session.connect({.ip = IpAddress::parse("192.0.2.1"), .name = part(0)}, now, ignore);
  session.helo(part(1), now, ignore);
  MailEvent mail;
  mail.sender = part(2);
  mail.user = part(3);
  mail.queue_id = part(4);
  session.mail(std::move(mail), now, ignore);
  for (int i = 0; i < 3; ++i) session.rcpt({.recipient = part(5)}, now, ignore);
  session.end_of_message(now, ignore);
  return 0;
}
