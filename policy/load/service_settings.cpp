#include "policy/load/service_settings.h"

#include <algorithm>

#include "policy/load/milter_settings.h"
#include "policy/load/quantities.h"
#include "policy/load/socket.h"
#include "policy/mail/address.h"
#include "policy/mail/ip.h"

namespace replygate {
namespace {

using Event = NotifySettings::Event;
using Family = SocketAddress::Family;

constexpr std::pair<std::string_view, Event> kEvents[] = {{"warning", Event::warning},
                                                          {"first-refusal", Event::first_refusal},
                                                          {"eviction", Event::eviction},
                                                          {"store", Event::store}};
constexpr std::int64_t kYear = std::int64_t{366} * 86'400'000;

bool is_loopback(const SocketAddress& address) {
  const auto ip = IpAddress::parse(address.host);
  const auto loopback = IpNetwork::parse("127.0.0.0/8").value();
  return ip && (loopback.contains(*ip) || *ip == IpAddress::parse("::1"));
}

bool is_url(std::string_view text) {
  const bool scheme = text.starts_with("http://") || text.starts_with("https://");
  const auto plain = [](char c) { return c > ' ' && c < '\x7f'; };
  return scheme && text.find("//") + 2 < text.size() && std::ranges::all_of(text, plain);
}

}  // namespace

void ServiceLoader::control(const Node& table, Settings& settings) {
  context_.check_keys(table, "control", "[control]");
  const Entry* e = table.find("listen");
  if (e == nullptr) return;
  const std::string text = parse_socket(context_, e->value);
  if (text.empty()) return;
  settings.control = text;
  if (SocketAddress::parse(text)->family == Family::unix_path) return;
  context_.error(Rg::service, e->value.region, "commands come by a Unix socket alone, whose permissions say from whom",
                 "write for instance \"unix:/run/replygate/control.sock\"");
}

// Figures and health are for whoever may ask at this host; others reach them through a server that knows its users.
void ServiceLoader::metrics(const Node& table, Settings& settings) {
  context_.check_keys(table, "metrics", "[metrics]");
  const Entry* e = table.find("listen");
  if (e == nullptr) return;
  const std::string text = parse_socket(context_, e->value);
  if (text.empty()) return;
  settings.metrics = text;
  const SocketAddress address = SocketAddress::parse(text).value();
  if (address.family == Family::unix_path || is_loopback(address)) return;
  context_.error(Rg::service, e->value.region, "metrics are served to this host alone",
                 "write for instance \"inet:9791@127.0.0.1\" or \"unix:/run/replygate/metrics.sock\"");
}

void ServiceLoader::history(const Node& table, HistorySettings& history) {
  context_.check_keys(table, "history", "[history]");
  read_duration(context_, table, "keep", {60'000, kYear, "\"1m\"", "\"366d\""}, history.keep);
  read_number(context_, table, "max_records", {0, 100'000'000, "0", "100000000"}, history.records);
  read_size(context_, table, "max_size", {1'000'000, std::int64_t{1} << 50U, "\"1 MB\"", "\"1 PiB\""}, history.octets);
  const Entry* e = table.find("path");
  if (e == nullptr || !context_.expect(e->value, Node::Kind::string, "path")) return;
  history.path = e->value.string;
  if (history.path.starts_with('/') && history.path.size() > 1) return;
  context_.error(Rg::service, e->value.region, fmt::format("\"{}\" is no absolute path of a folder", history.path),
                 "write for instance \"/var/lib/replygate/history\"");
}

void ServiceLoader::notify(const Node& table, NotifySettings& notify) {
  context_.check_keys(table, "notify", "[notify]");
  read_duration(context_, table, "pause", {1000, kYear, "\"1s\"", "\"366d\""}, notify.pause);
  read_number(context_, table, "most_per_hour", {1, 1000, "1", "1000"}, notify.most_per_hour);
  addresses(table, notify);
  if (const Entry* e = table.find("on")) events(e->value, notify);
  if (const Entry* e = table.find("smtp"); e != nullptr && context_.expect(e->value, Node::Kind::string, "smtp")) {
    if (const auto server = SocketAddress::parse_server(e->value.string)) {
      notify.smtp = server->text();
    } else {
      context_.error(Rg::socket_address, e->value.region,
                     fmt::format("\"{}\" is no address of a server", e->value.string),
                     "write for instance \"inet:25@127.0.0.1\"");
    }
  }
  if (const Entry* e = table.find("webhook");
      e != nullptr && context_.expect(e->value, Node::Kind::string, "webhook")) {
    notify.webhook = e->value.string;
    if (!is_url(notify.webhook)) {
      context_.error(Rg::service, e->value.region, fmt::format("\"{}\" is no address of a web server", notify.webhook),
                     "write for instance \"https://hooks.example.org/mail\"");
    }
  }
  if (notify.nobody() && !table.entries.empty()) {
    context_.error(Rg::service, table.entries.front().key_region, "[notify] does not say whom",
                   "add to = \"postmaster@example.org\", or webhook = \"https://hooks.example.org/mail\"");
  }
}

void ServiceLoader::addresses(const Node& table, NotifySettings& notify) {
  if (const Entry* e = table.find("from")) address(e->value, "from", notify.from);
  const Entry* e = table.find("to");
  if (e == nullptr) return;
  if (e->value.kind != Node::Kind::array) {
    address(e->value, "to", notify.to.emplace_back());
  } else {
    for (const Node& item : e->value.items) address(item, "to", notify.to.emplace_back());
  }
}

void ServiceLoader::address(const Node& node, std::string_view key, std::string& target) {
  if (!context_.expect(node, Node::Kind::string, key)) return;
  const Address parsed =
      canonical_address(node.string, {.default_domain = "", .is_local = [](std::string_view) { return false; }});
  if (parsed.form == Address::Form::mailbox && !parsed.domain().empty()) {
    target = parsed.full;
  } else {
    context_.error(Rg::service, node.region, fmt::format("\"{}\" is no address of mail", node.string),
                   "write for instance \"postmaster@example.org\"");
  }
}

void ServiceLoader::events(const Node& node, NotifySettings& notify) {
  notify.on.clear();
  const auto add = [&](const Node& item) {
    if (const auto event = choice(context_, item, "on", kEvents)) notify.on.push_back(*event);
  };
  if (node.kind != Node::Kind::array) return add(node);
  for (const Node& item : node.items) add(item);
}

}  // namespace replygate
