// Any octets, as an MTA's connection: no death, replies are whole packets, a reply only where one is due, and at the
// end nothing is left open or reserved. The first octet chooses the policy, the second how the octets are cut.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>

#include "milter/door/wire/dialogue.h"
#include "policy/count/store_memory.h"
#include "policy/load/load.h"

namespace {

using namespace replygate;

constexpr std::string_view kPolicies[] = {"version = 1\n",
                                          R"(version = 1
[milter]
max_session_memory = "1 MiB"
[[rule]]
name = "helo"
when = { helo = "*bad*" }
reply = 421
[[rule]]
name = "quota"
per = ["sender", "client_ip"]
limit = ["3 recipients / 1h", "2 messages / session", "100 B / 1h"]
reply = { class = "quota-exceeded", text = ["{sender}", "{helo}"] }
[[rule]]
name = "data"
when = { sender = "*data*" }
at = "data"
reply = 550
)"};

class Sink final : public RecordSink {
 public:
  void write(Record record) override {
    const std::string line = to_json(record);
    if (line.empty() || line.find('\n') != line.size() - 1) std::abort();
  }
};

std::shared_ptr<const Policy> policy(std::size_t index) {
  static const auto load = [](std::string_view text) {
    return load_policy("p", [text](const DataSource& source, std::string&) {
      return source.path == "p" ? std::optional(std::string(text)) : std::nullopt;
    });
  };
  static const std::shared_ptr<const Policy> policies[] = {load(kPolicies[0]).policy, load(kPolicies[1]).policy};
  if (policies[index] == nullptr) std::abort();
  return policies[index];
}

void check(std::string_view out) {
  while (!out.empty()) {
    const wire::Framed framed = wire::next_packet(out, std::size_t{1} << 20U);
    if (framed.kind != wire::Framed::Kind::packet) std::abort();
    const std::string_view data = framed.packet.data;
    switch (framed.packet.command) {
      case 'O': break;
      case 'c':
        if (!data.empty()) std::abort();
        break;
      case 'y':
        if (data.size() < 6 || data.back() != '\0' || (data[0] != '4' && data[0] != '5')) std::abort();
        break;
      default: std::abort();
    }
    out.remove_prefix(framed.size);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  static const Clock clock;
  MemoryStore store;
  Gate gate(store);
  Sink sink;
  References references(1);
  Traffic traffic;
  DecisionTimes times;
  const DoorServices services{policy(data[0] & 1U), gate, sink, references, clock, traffic, times};
  const std::size_t piece = data[1] == 0 ? size : data[1];
  std::string_view rest(reinterpret_cast<const char*>(data) + 2, size - 2);
  {
    wire::Dialogue dialogue(services, [] { std::abort(); });
    std::string in;
    bool open = true;
    while (open && !rest.empty()) {
      in += rest.substr(0, piece);
      rest.remove_prefix(std::min(piece, rest.size()));
      for (;;) {
        const wire::Framed framed = wire::next_packet(in, std::size_t{128} << 10U);
        if (framed.kind == wire::Framed::Kind::incomplete) break;
        if (framed.kind != wire::Framed::Kind::packet) {
          open = false;
          break;
        }
        std::string out;
        open = dialogue.take(framed.packet, out) == wire::Dialogue::Next::read;
        check(out);
        if (!open) break;
        in.erase(0, framed.size);
      }
    }
  }
  // Returns at once unless a transaction was left open.
  traffic.drain(std::chrono::milliseconds(0), std::chrono::milliseconds(0));
  return 0;
}
