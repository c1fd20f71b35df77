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
  if (const Entry* e = table.find("path")) history.path = absolute(*e, "a folder", "/var/lib/replygate/history");
}

// A path, as it is written.
std::string ServiceLoader::absolute(const Entry& entry, std::string_view what, std::string_view example) {
  if (!context_.expect(entry.value, Node::Kind::string, entry.key)) return "";
  const std::string& path = entry.value.string;
  if (!path.starts_with('/') || path.size() == 1) {
    context_.error(Rg::service, entry.value.region, fmt::format("\"{}\" is not an absolute path of {}", path, what),
                   fmt::format("write for instance \"{}\"", example));
  }
  return path;
}

void ServiceLoader::outcomes(const Node& table, OutcomeSettings& outcomes) {
  context_.check_keys(table, "outcomes", "[outcomes]");
  read_duration(context_, table, "keep", {3'600'000, kLongestKept, "\"1h\"", "\"366d\""}, outcomes.keep);
  read_number(context_, table, "max_recipients", {1000, 100'000'000, "1000", "100000000"}, outcomes.recipients);
  read_number(context_, table, "dead_after", {1, 10, "1", "10"}, outcomes.dead_after);
  read_duration(context_, table, "dead_within", {60'000, kLongestKept, "\"1m\"", "\"366d\""}, outcomes.dead_within);
  read_duration(context_, table, "dead_for", {60'000, kLongestKept, "\"1m\"", "\"366d\""}, outcomes.dead_for);
  if (const Entry* e = table.find("path")) outcomes.path = absolute(*e, "a file", "/var/lib/replygate/outcomes.db");
  const Entry* e = table.find("log");
  if (e == nullptr) {
    context_.error(Rg::missing_key, table.region, "[outcomes] does not say where the MTA's log is",
                   "add log = \"journal\" or log = \"/var/log/mail.log\"");
    return;
  }
  const bool journal = e->value.kind == Node::Kind::string && e->value.string == "journal";
  outcomes.log = journal ? "journal" : absolute(*e, "a log, nor \"journal\"", "/var/log/mail.log");
}

}  // namespace replygate
