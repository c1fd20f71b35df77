#include "policy/load/service_settings.h"

#include <algorithm>

#include "policy/load/milter_settings.h"
#include "policy/load/quantities.h"
#include "policy/load/socket.h"
#include "policy/mail/address.h"
#include "policy/mail/ip.h"

namespace replygate {
namespace {

using Family = SocketAddress::Family;

bool is_loopback(const SocketAddress& address) {
  const auto ip = IpAddress::parse(address.host);
  const auto loopback = IpNetwork::parse("127.0.0.0/8").value();
  return ip && (loopback.contains(*ip) || *ip == IpAddress::parse("::1"));
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
  read_duration(context_, table, "keep", {60'000, kLongestKept, "\"1m\"", "\"366d\""}, history.keep);
  read_number(context_, table, "max_records", {0, 100'000'000, "0", "100000000"}, history.records);
  read_size(context_, table, "max_size", {1'000'000, std::int64_t{1} << 50U, "\"1 MB\"", "\"1 PiB\""}, history.octets);
  const Entry* e = table.find("path");
  if (e == nullptr || !context_.expect(e->value, Node::Kind::string, "path")) return;
  history.path = e->value.string;
  if (history.path.starts_with('/') && history.path.size() > 1) return;
  context_.error(Rg::service, e->value.region, fmt::format("\"{}\" is not an absolute path of a folder", history.path),
                 "write for instance \"/var/lib/replygate/history\"");
}

}  // namespace replygate
