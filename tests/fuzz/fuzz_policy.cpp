// Any octets are a policy or diagnostics that can be rendered; a policy can be printed, proved, tested and can judge.
// What stands behind a NUL is the content of every file and the rows of every database that the policy names.

#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "policy/count/store_memory.h"
#include "policy/decide/session.h"
#include "policy/load/load.h"
#include "policy/proof/relay.h"
#include "policy/scenario/test_run.h"

namespace {

class Nowhere final : public replygate::RecordSink {
 public:
  void write(replygate::Record record) override {
    if (replygate::to_json(record).empty() || replygate::to_logfmt(record).empty()) std::abort();
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace replygate;
  const std::string input(reinterpret_cast<const char*>(data), size);
  const std::size_t end = std::min(input.find('\0'), input.size());
  const std::string text = input.substr(0, end);
  const std::string lists = end < input.size() ? input.substr(end + 1) : "";
  const Loaded loaded = load_policy("p", [&](const DataSource& source, std::string& why) -> std::optional<std::string> {
    why = "no such file";
    if (source.path == "p") return text;
    if (lists.empty()) return std::nullopt;
    return source.kind == DataSource::Kind::glob ? "" : lists;
  });
  for (const Diagnostic& d : loaded.diagnostics) {
    if (render(d, loaded.sources).empty()) std::abort();
  }
  if (!loaded.ok()) {
    if (loaded.diagnostics.empty()) std::abort();
    return 0;
  }
  if (loaded.policy->text().empty()) std::abort();
  prove_relay(*loaded.policy);
  std::vector<Scenario> tests = loaded.tests;
  std::erase_if(tests, [](const Scenario& s) {
    return static_cast<std::size_t>(s.repeat) * (s.recipients.size() + 1) > 200 || s.given.size > 1000000;
  });
  if (run_tests(loaded.policy, tests).results.size() != tests.size()) std::abort();
  MemoryStore store;
  Gate gate(store);
  References references(1);
  Nowhere sink;
  Session session(loaded.policy, {gate, sink, references}, {});
  const Instant now{std::chrono::hours(490000)};
  int answers = 0;
  const auto count = [&](const Answer&) { ++answers; };
  session.connect({.ip = IpAddress::parse("192.0.2.1")}, now, count);
  session.helo("x", now, count);
  session.mail({.sender = "<a@b.example>", .user = "u"}, now, count);
  session.rcpt({.recipient = "<c@d.example>"}, now, count);
  session.data(now, count);
  session.header("Subject", "hello", 16);
  session.end_of_headers(now, count);
  session.body("hello\r\n");
  session.end_of_message(now, count);
  if (answers != 7 || store.reservations() != 0) std::abort();
  return 0;
}
