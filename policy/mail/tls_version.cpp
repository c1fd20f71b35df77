#include "policy/mail/tls_version.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "policy/mail/text.h"

namespace replygate {
namespace {

constexpr std::array<std::string_view, 6> kVersions = {"SSLv2", "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"};

std::optional<std::size_t> index_of(std::string_view name) {
  name = trim(name);
  for (std::size_t i = 0; i < kVersions.size(); ++i) {
    if (equal_ignoring_case(kVersions[i], name)) return i;
  }
  return std::nullopt;
}

template <typename Allowed>
std::vector<std::string> versions_where(Allowed allowed) {
  std::vector<std::string> result;
  for (std::size_t i = 0; i < kVersions.size(); ++i) {
    if (allowed(i)) result.push_back(to_lower(kVersions[i]));
  }
  return result;
}

std::optional<std::vector<std::string>> versions_between(std::string_view first, std::string_view last) {
  const auto from = index_of(first);
  const auto to = index_of(last);
  if (!from || !to || *from > *to) return std::nullopt;
  return versions_where([&](std::size_t i) { return i >= *from && i <= *to; });
}

// "1.2", "TLS 1.2" and "TLS1.2" are TLSv1.2; "" for others.
std::string full_name(std::string_view name) {
  if (name.size() > 3 && equal_ignoring_case(name.substr(0, 3), "tls")) name.remove_prefix(3);
  name = trim(name);
  const std::string full = "TLSv" + std::string(name == "1.0" ? "1" : name);
  return is_digit(name.empty() ? ' ' : name.front()) && index_of(full) ? full : "";
}

}  // namespace

std::span<const std::string_view> tls_versions() { return kVersions; }

std::optional<std::vector<std::string>> versions_allowed(std::string_view pattern) {
  pattern = trim(pattern);
  if (pattern.empty()) return std::vector<std::string>{""};
  if (const std::size_t dots = pattern.find(".."); dots != std::string_view::npos) {
    return versions_between(pattern.substr(0, dots), pattern.substr(dots + 2));
  }
  const std::size_t end = std::min(pattern.find_first_not_of("<>=!"), pattern.size());
  const std::string_view sign = pattern.substr(0, end);
  const auto version = index_of(pattern.substr(end));
  if (!version) return std::nullopt;
  const std::size_t v = *version;
  if (sign.empty() || sign == "=" || sign == "==") return versions_where([v](std::size_t i) { return i == v; });
  if (sign == "!=") return versions_where([v](std::size_t i) { return i != v; });
  if (sign == "<") return versions_where([v](std::size_t i) { return i < v; });
  if (sign == "<=") return versions_where([v](std::size_t i) { return i <= v; });
  if (sign == ">") return versions_where([v](std::size_t i) { return i > v; });
  if (sign == ">=") return versions_where([v](std::size_t i) { return i >= v; });
  return std::nullopt;
}

std::string version_help(std::string_view pattern) {
  if (const std::size_t dots = pattern.find(".."); dots != std::string_view::npos) {
    const std::string_view first = trim(pattern.substr(0, dots));
    const std::string_view last = trim(pattern.substr(dots + 2));
    if (versions_between(last, first)) return fmt::format("write \"{}..{}\"", last, first);
  }
  const std::string_view name = pattern.substr(std::min(pattern.find_first_not_of("<>=! "), pattern.size()));
  if (const std::string meant = full_name(name); !meant.empty()) {
    return fmt::format("write \"{}{}\"", pattern.substr(0, pattern.size() - name.size()), meant);
  }
  // "TLSv1.0" is how people call TLSv1.
  const bool zero = name.ends_with(".0") && index_of(name.substr(0, name.size() - 2));
  const std::string_view meant = zero ? name.substr(0, name.size() - 2) : nearest(name, kVersions);
  if (meant.empty() || equal_ignoring_case(meant, name)) return "MTAs say " + join_or(kVersions);
  return "did you mean \"" + std::string(meant) + "\"?";
}

}  // namespace replygate
