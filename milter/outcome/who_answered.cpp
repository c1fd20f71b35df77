#include "milter/outcome/who_answered.h"

#include "policy/mail/text.h"

namespace replygate {

std::string who_answered(const RemoteStatus& status, std::string_view provider) {
  if (!provider.empty()) return std::string(provider);
  const bool named = !status.host.empty() && !is_digit(status.host.back());
  const std::string_view host =
      named ? std::string_view(status.host) : std::string_view(status.recipient).substr(status.recipient.find('@') + 1);
  const std::size_t last = host.rfind('.');
  const std::size_t before = last == std::string_view::npos || last == 0 ? last : host.rfind('.', last - 1);
  return to_lower(before == std::string_view::npos ? host : host.substr(before + 1));
}

}  // namespace replygate
