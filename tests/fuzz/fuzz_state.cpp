// Any octets are counters to begin with, or diagnostics that can be rendered.

#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "policy/count/store_memory.h"
#include "policy/load/state.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace replygate;
  static const Loaded loaded =
      load_policy("p", [](const DataSource& source, std::string&) -> std::optional<std::string> {
        if (source.path != "p") return std::nullopt;
        return "version = 1\n[[rule]]\nname = \"a\"\nper = [\"sender\", \"recipient\"]\nlimit = \"5 recipients / "
               "1h\"\nreply = 452\n"
               "[[rule]]\nname = \"b\"\nper = \"user\"\nlimit = [\"5 messages / day\", \"3 distinct_recipients / "
               "1h\"]\nreply = 452\n"
               "[[rule]]\nname = \"c\"\nper = \"user\"\nlimit = \"5 messages / 1h\"\nburst = 2\nreply = 452\n";
      });
  if (!loaded.ok()) std::abort();
  const std::string text(reinterpret_cast<const char*>(data), size);
  MemoryStore store;
  const SeededState state = seed_state(
      "s",
      [&](const DataSource& source, std::string&) -> std::optional<std::string> {
        return source.path == "s" ? std::optional(text) : std::nullopt;
      },
      *loaded.policy, Instant(std::chrono::hours(490000)), store);
  for (const Diagnostic& d : state.diagnostics) {
    if (render(d, state.sources).empty()) std::abort();
  }
  if (store.reservations() != 0) std::abort();
  return 0;
}
