#include "milter/host/postfix_address.h"

#include <fmt/format.h>

#include <algorithm>

#include "milter/host/port_holder.h"

namespace replygate {
namespace {

constexpr std::string_view kShipped = "inet:127.0.0.1:8891";

// As main.cf would write it, were there no chroot.
std::string outside_address(const SocketAddress& listen) {
  using Family = SocketAddress::Family;
  if (listen.family == Family::inet) return fmt::format("inet:{}:{}", listen.host, listen.port);
  if (listen.family == Family::inet6) return fmt::format("inet:[{}]:{}", listen.host, listen.port);
  return listen.family == Family::descriptor ? "" : "unix:" + listen.path;
}

bool listens_at(const Policy& policy, const std::string& plain) {
  return std::ranges::any_of(policy.settings().listen, [&](const std::string& text) {
    return outside_address(SocketAddress::parse(text).value_or(SocketAddress())) == plain;
  });
}

// The shipped port, unless another milter has it by now.
bool is_shipped(const std::string& plain) {
  if (plain != kShipped) return false;
  const auto holder = holder_of(SocketAddress::parse("inet:8891@127.0.0.1").value());
  return !holder || holder->name.find("replygate") != std::string::npos;
}

}  // namespace

std::string postfix_address(const SocketAddress& listen, const PostfixSettings& settings) {
  if (listen.family != SocketAddress::Family::unix_path || !settings.chrooted()) return outside_address(listen);
  const std::string root = settings.at("queue_directory") + "/";
  return listen.path.starts_with(root) ? "unix:" + listen.path.substr(root.size()) : "";
}

std::string postfix_address(const Policy& policy, const PostfixSettings& settings) {
  return postfix_address(SocketAddress::parse(policy.settings().listen.front()).value_or(SocketAddress()), settings);
}

std::string postfix_service_address(const Policy& policy, const PostfixSettings& settings) {
  const std::string& text = policy.settings().policy_service;
  return text.empty() ? "" : postfix_address(SocketAddress::parse(text).value_or(SocketAddress()), settings);
}

std::string plain_address(std::string_view address, const PostfixSettings& settings) {
  std::string text(address);
  if (text.starts_with("local:")) text.replace(0, 6, "unix:");
  if (text.starts_with("unix:")) {
    const std::string path = text.substr(5);
    const bool inside = settings.chrooted() || !path.starts_with('/');
    const std::string& root = settings.at("queue_directory");
    return inside ? fmt::format("unix:{}{}{}", root, path.starts_with('/') ? "" : "/", path) : text;
  }
  if (!text.starts_with("inet:")) text.insert(0, "inet:");
  if (text.starts_with("inet:localhost:")) text.replace(5, 9, "127.0.0.1");
  return text;
}

const PostfixServer* own_milter(const std::vector<PostfixServer>& milters, const PostfixSettings& settings,
                                const Policy& policy) {
  const auto own = std::ranges::find_if(
      milters, [&](const PostfixServer& m) { return listens_at(policy, plain_address(m.address, settings)); });
  return own == milters.end() ? nullptr : &*own;
}

bool was_own(std::string_view address, const PostfixSettings& settings, const Policy& policy,
             const std::vector<std::string>& written) {
  const std::string plain = plain_address(address, settings);
  if (listens_at(policy, plain) || is_shipped(plain)) return true;
  if (std::ranges::find(written, address) != written.end()) return true;
  return plain.starts_with("unix:") && plain.find("replygate") != std::string::npos;
}

}  // namespace replygate
