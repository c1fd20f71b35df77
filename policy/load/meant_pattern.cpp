#include "policy/load/meant_pattern.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "policy/load/pattern_signs.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

bool is_list_name(std::string_view text) {
  return !text.empty() && is_alpha(text.front()) &&
         std::ranges::all_of(text, [](char c) { return is_alpha(c) || is_digit(c) || c == '_' || c == '-'; });
}

// "lsearch;/etc/exim4/senders", "file:/path", "hash:/path": the path; "" without one.
std::string_view path_of_table(std::string_view text) {
  constexpr std::array<std::string_view, 13> kTypes = {"lsearch", "wildlsearch", "nwildlsearch", "iplsearch", "dbm",
                                                       "cdb",     "file",        "table",        "hash",      "btree",
                                                       "regexp",  "pcre",        "cidr"};
  const std::size_t sign = text.find_first_of(";:");
  if (sign == std::string_view::npos || std::ranges::find(kTypes, text.substr(0, sign)) == kTypes.end()) return "";
  const std::string_view path = trim(text.substr(sign + 1));
  return path.starts_with('/') ? path : "";
}

}  // namespace

std::string foreign_pattern_help(std::string_view text) {
  if (text.starts_with('+') && is_list_name(text.substr(1))) return fmt::format("write \"${}\"", text.substr(1));
  if (text.starts_with("!$") && is_list_name(text.substr(2))) {
    return fmt::format("write \"{}\" under unless", text.substr(1));
  }
  for (const std::string_view sign : {"=~", "!~", "~", "==", "=", "eq "}) {
    if (!text.starts_with(sign)) continue;
    const std::string_view rest = trim(text.substr(sign.size()));
    const bool parted = rest.size() + sign.size() < text.size() || rest.starts_with('/');  // "~bob@" is an address
    if (!parted) continue;
    return fmt::format("write \"{}\"{}", rest, sign == "!~" ? " under unless" : "");
  }
  if (const std::string_view path = path_of_table(text); !path.empty()) {
    return fmt::format("write name = {{ file = \"{}\" }} under [lists], and \"$name\" here", path);
  }
  return "";
}

}  // namespace replygate
