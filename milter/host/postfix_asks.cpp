#include <fmt/format.h>

#include <algorithm>

#include "milter/host/postfix_case.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

using Level = Symptom::Level;

bool has_port(std::string_view address) {
  const std::size_t host_end = address.starts_with("inet:[") ? address.find(']') : 4;
  return host_end != std::string_view::npos && address.find(':', host_end + 1) != std::string_view::npos &&
         address.back() != ':';
}

void ports(PostfixCase& c) {
  for (const PostfixServer& milter : c.milters()) {
    if (!milter.address.starts_with("inet:") || has_port(milter.address)) continue;
    c.add(Level::error, fmt::format("smtpd_milters: {} has no port; Postfix answers 451 to all mail", milter.address),
          "write inet:HOST:PORT");
  }
}

void unreachable(PostfixCase& c) {
  const SocketAddress listen = SocketAddress::parse(c.policy.settings().listen.front()).value_or(SocketAddress());
  const std::string& queue = c.settings.at("queue_directory");
  if (listen.family == SocketAddress::Family::descriptor) {
    return c.add(Level::warning, "[milter] listen is a descriptor: whether smtpd_milters names its socket is not known",
                 "name the socket itself in [milter] listen, as replygate.socket does");
  }
  c.add(Level::error,
        fmt::format("smtpd runs in the chroot {}, and cannot see the socket {} outside of it", queue, listen.path),
        fmt::format("[milter] listen = \"unix:{}/replygate/milter.sock\", or a TCP socket", queue));
}

void named(PostfixCase& c) {
  if (own_milter(c.milters(), c.settings, c.policy) != nullptr) return;
  const std::string address = postfix_address(c.policy, c.settings);
  if (address.empty()) return unreachable(c);
  c.add(Level::error, fmt::format("smtpd_milters does not name {}; replygate is never asked", address),
        c.set_up("smtpd_milters"));
}

void switched_off(PostfixCase& c) {
  if (!has_no_milters(c.service)) return;
  auto words = postfix_words(c.at("receive_override_options"));
  std::erase(words, "no_milters");
  c.add(Level::error, "receive_override_options has no_milters: no filter is asked",
        c.set("receive_override_options", postfix_joined(words)));
}

// The worst that a map of clients does: "DISABLE", or other milters than us.
struct MapFinding {
  Level level = Level::fine;
  std::string what;
};

bool leaves_us_out(const PostfixCase& c, const std::string& value) {
  return equal_ignoring_case(value, "DISABLE") || own_milter(postfix_milters(value), c.settings, c.policy) == nullptr;
}

MapFinding look_into(const PostfixCase& c, const std::string& map) {
  const auto stranger = c.tables.look_up(map, {"203.0.113.77", "unknown"});
  if (stranger && !stranger->empty() && leaves_us_out(c, *stranger)) {
    return {Level::error, fmt::format("smtpd_milter_maps: {} has strangers' mail pass unjudged", map)};
  }
  const auto entries = c.tables.entries(map);
  if (!stranger || !entries) {
    return {Level::warning, fmt::format("smtpd_milter_maps: for whom {} turns filters off is not known", map)};
  }
  for (const auto& [key, value] : *entries) {
    if (leaves_us_out(c, value)) {
      return {Level::warning, fmt::format("smtpd_milter_maps: mail of {} passes unjudged, by {}", key, map)};
    }
  }
  return {};
}

void maps(PostfixCase& c) {
  for (const std::string& map : postfix_words(c.at("smtpd_milter_maps"))) {
    if (MapFinding found = look_into(c, map); found.level != Level::fine) {
      c.add(found.level, std::move(found.what), c.set("smtpd_milter_maps", ""));
    }
  }
}

// MILTER_README: filters then see commands alone.
void proxied(PostfixCase& c) {
  if (c.at("smtpd_proxy_filter").empty()) return;
  c.add(Level::warning,
        fmt::format("smtpd_proxy_filter = {}: replygate sees no message, and charges none", c.at("smtpd_proxy_filter")),
        "make it a content_filter, or a milter");
}

}  // namespace

bool has_no_milters(const PostfixService& service) {
  const auto words = postfix_words(service.values.at("receive_override_options"));
  return std::ranges::find(words, "no_milters") != words.end();
}

bool asks_us(const PostfixCase& c) {
  return own_milter(c.milters(), c.settings, c.policy) != nullptr && !has_no_milters(c.service) &&
         c.at("smtpd_milter_maps").empty();
}

void check_postfix_asks(PostfixCase& c) {
  ports(c);
  named(c);
  switched_off(c);
  maps(c);
  proxied(c);
}

}  // namespace replygate
