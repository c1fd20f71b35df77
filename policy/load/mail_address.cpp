#include "policy/load/mail_address.h"

#include <fmt/format.h>

namespace replygate {

Address mail_address(std::string_view text) {
  return canonical_address(text, {.default_domain = "", .is_local = [](std::string_view) { return false; }});
}

bool is_mail_address(const Address& address) {
  return address.form == Address::Form::mailbox && !address.domain().empty();
}

void read_mail_address(Context& context, const Node& node, std::string_view key, std::string& target) {
  if (!context.expect(node, Node::Kind::string, key)) return;
  const Address parsed = mail_address(node.string);
  if (is_mail_address(parsed)) {
    target = parsed.full;
  } else {
    context.error(Rg::service, node.region, fmt::format("\"{}\" is not an address of mail", node.string),
                  "write for instance \"postmaster@example.org\"");
  }
}

}  // namespace replygate
