#include "policy/mail/subaddress.h"

#include <algorithm>

namespace replygate {

std::string without_tag(std::string_view name, std::string_view separators) {
  const std::size_t end = std::min(name.rfind('@'), name.size());
  const std::size_t tag = name.substr(0, end).find_first_of(separators, 1);
  if (name.starts_with('"') || tag == std::string_view::npos) return std::string(name);
  return std::string(name.substr(0, tag)) + std::string(name.substr(end));
}

}  // namespace replygate
