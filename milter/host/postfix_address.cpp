#include "milter/host/postfix_address.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "milter/host/port_holder.h"

namespace replygate {
namespace {

// As setup writes them: nobody else has both.
const std::map<std::string, std::string> kSetupOptions = {{"timeout", "2s"}, {"default_action", "DUNNO"}};

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

bool is_called_ours(const std::string& plain) {
  return plain.starts_with("unix:") && plain.find("replygate") != std::string::npos;
}

// "inet:127.0.0.1:8892"; a program that listens there and is another one.
bool is_of_others(const std::string& plain) {
  const std::size_t colon = plain.rfind(':');
  const std::size_t host = plain.find(':') + 1;
  if (!plain.starts_with("inet:") || colon <= host) return false;
  const auto address =
      SocketAddress::parse(fmt::format("inet:{}@{}", plain.substr(colon + 1), plain.substr(host, colon - host)));
  const auto holder = address ? holder_of(*address) : std::nullopt;
  return holder && !holder->name.empty() && holder->name.find("replygate") == std::string::npos;
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

bool was_own(std::string_view address, const PostfixSettings& settings, const Policy& policy) {
  const std::string plain = plain_address(address, settings);
  if (listens_at(policy, plain) || is_shipped(plain)) return true;
  if (std::ranges::find(settings.written, address) != settings.written.end()) return true;
  return is_called_ours(plain);
}

// Another program may have the address by now.
OwnDoor own_door(std::string_view restriction, const PostfixSettings& settings, const Policy& policy) {
  const auto words = postfix_words(restriction);
  if (words.size() < 2 || words.front() != "check_policy_service") return OwnDoor::none;
  const PostfixServer server = postfix_server(words[1]);
  const std::string plain = plain_address(server.address, settings);
  const std::string ours = postfix_service_address(policy, settings);
  if (!ours.empty() && plain == plain_address(ours, settings)) return OwnDoor::present;
  if (is_called_ours(plain)) return OwnDoor::stale;
  const bool by_setup =
      std::ranges::find(settings.written, server.address) != settings.written.end() || server.options == kSetupOptions;
  return by_setup && !is_of_others(plain) ? OwnDoor::stale : OwnDoor::none;
}

}  // namespace replygate
