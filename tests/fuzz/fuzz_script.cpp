// Any octets are a dialogue or a mistake with its line; a dialogue can be played and leaves nothing reserved.

#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "policy/count/store_memory.h"
#include "policy/load/load.h"
#include "policy/scenario/smtp_script.h"

namespace {

using namespace replygate;

constexpr std::string_view kPolicy =
    "version = 1\n[[rule]]\nname = \"a\"\nwhen = { header.Subject = \"*win*\" }\nreply = 554\n"
    "[[rule]]\nname = \"b\"\nper = \"sender\"\nlimit = \"2 recipients / 1h\"\nreply = 452\n"
    "[[rule]]\nname = \"c\"\nwhen = { helo = \"bad\" }\nreply = 421\n"
    "[[rule]]\nname = \"d\"\nper = [\"sender\", \"digest\"]\nlimit = \"1 messages / 1h\"\nhold = \"again\"\n";

std::shared_ptr<const Policy> policy() {
  static const auto loaded = load_policy("p", [](const DataSource& source, std::string&) -> std::optional<std::string> {
    return source.path == "p" ? std::optional(std::string(kPolicy)) : std::nullopt;
  });
  if (!loaded.ok()) std::abort();
  return loaded.policy;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto parsed = parse_script({reinterpret_cast<const char*>(data), size});
  if (const auto* mistake = std::get_if<ScriptMistake>(&parsed)) {
    if (mistake->line == 0 || mistake->message.empty()) std::abort();
    return 0;
  }
  MemoryStore store;
  Gate gate(store);
  const auto& steps = std::get<std::vector<ScriptStep>>(parsed);
  const auto lines = play_script(steps, policy(), gate, Instant(std::chrono::hours(490000)));
  if (lines.size() != steps.size() || store.reservations() != 0) std::abort();
  for (const ScriptLine& line : lines) {
    if (line.reply.empty()) std::abort();
  }
  return 0;
}
