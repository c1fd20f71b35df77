// Any octets are an address, the null sender or malformed; a canonical form is one, and hides no route.

#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "policy/mail/address.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using replygate::Address;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const replygate::AddressContext context{.default_domain = "ours.example", .is_local = [](std::string_view d) {
                                            return d == "ours.example" || d == "localhost";
                                          }};
  const Address once = canonical_address(text, context);
  if (once.form != Address::Form::mailbox) {
    if (!once.full.empty()) std::abort();
    return 0;
  }
  if (once.local().empty() || once.domain().empty() || once.full.find('\0') != std::string::npos) std::abort();
  if (context.is_local(once.domain()) && once.local().find_first_of("@!%") != std::string_view::npos) std::abort();
  const Address twice = canonical_address(once.full, context);
  if (twice.form != Address::Form::mailbox || twice.domain() != once.domain()) std::abort();
  return 0;
}
