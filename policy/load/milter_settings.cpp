#include "policy/load/milter_settings.h"

#include <algorithm>

#include "policy/load/items.h"
#include "policy/load/quantities.h"
#include "policy/load/socket.h"

namespace replygate {
namespace {

constexpr std::pair<std::string_view, OnError> kOnError[] = {{"tempfail", OnError::tempfail},
                                                             {"accept", OnError::accept}};
constexpr std::pair<std::string_view, Mode> kModes[] = {{"enforce", Mode::enforce}, {"observe", Mode::observe}};
constexpr std::pair<std::string_view, Engine> kEngines[] = {{"asio", Engine::asio}, {"libmilter", Engine::libmilter}};
constexpr std::string_view kAsioAlone[] = {"packet_timeout", "max_connections", "max_packet", "max_session_memory",
                                           "threads"};

}  // namespace

std::string parse_socket(Context& context, const Node& node) {
  const bool port = node.kind == Node::Kind::integer;
  if (!port && !context.expect(node, Node::Kind::string, "listen")) return "";
  const std::string text = port ? std::to_string(node.integer) : node.string;
  const auto address = port ? std::nullopt : SocketAddress::parse(text);
  if (!address) {
    const std::string meant = meant_socket(text);
    context.error(
        Rg::socket_address, node.region,
        port ? fmt::format("{} is not a socket address", text) : fmt::format("\"{}\" is not a socket address", text),
        meant.empty() ? "write \"inet:8891@127.0.0.1\", \"inet6:8891@[::1]\", "
                        "\"unix:/run/replygate/milter.sock\" or \"fd:3\""
                      : fmt::format("write \"{}\"", meant));
    return "";
  }
  return address->text();
}

void MilterLoader::load(Settings& settings) {
  context_.check_keys(table_, "milter", "[milter]");
  if (const Entry* e = table_.find("on_error")) {
    if (const auto value = choice(context_, e->value, "on_error", kOnError)) settings.on_error = *value;
  }
  if (const Entry* e = table_.find("mode")) {
    if (const auto value = choice(context_, e->value, "mode", kModes)) mode_ = *value;
  }
  load_engine(settings);
  load_listen(settings);
  load_bounds(settings.bounds);
}

void MilterLoader::load_engine(Settings& settings) {
  const Entry* e = table_.find("engine");
  if (e == nullptr) return;
  if (const auto value = choice(context_, e->value, "engine", kEngines)) settings.engine = *value;
  if (settings.engine == Engine::libmilter) report_keys_of_another_engine();
}

void MilterLoader::report_keys_of_another_engine() {
  for (const std::string_view key : kAsioAlone) {
    if (const Entry* e = table_.find(key)) {
      context_.error(Rg::engine, e->key_region, fmt::format("libmilter cannot be told {}", key),
                     "remove it, or write engine = \"asio\"");
    }
  }
  const Entry* listen = table_.find("listen");
  if (listen != nullptr && listen->value.kind == Node::Kind::array && listen->value.items.size() > 1) {
    context_.error(Rg::engine, listen->value.region, "libmilter listens on one socket",
                   "write one, or engine = \"asio\"");
  }
}

void MilterLoader::load_listen(Settings& settings) {
  const Entry* e = table_.find("listen");
  if (e == nullptr) return;
  settings.listen.clear();
  const auto add = [&](const Node& node) {
    std::string address = parse_socket(context_, node);
    if (std::ranges::find(settings.listen, address) != settings.listen.end()) {
      context_.error(Rg::defined_twice, node.region, fmt::format("{} stands here twice", address), "remove one");
    } else if (!address.empty()) {
      settings.listen.push_back(std::move(address));
    }
  };
  each_item(e->value, add);
  if (e->value.kind == Node::Kind::array && e->value.items.empty()) {
    context_.error(Rg::socket_address, e->value.region, "listen is empty: no MTA could ask",
                   "write for instance listen = \"inet:8891@127.0.0.1\"");
  }
}

void MilterLoader::load_bounds(DoorBounds& bounds) {
  constexpr std::int64_t kDay = 86'400'000;
  read_number(context_, table_, "max_connections", {1, 1000000, "1", "1000000"}, bounds.connections);
  read_number(context_, table_, "threads", {1, 64, "1", "64"}, bounds.threads);
  read_size(context_, table_, "max_packet", {128 << 10, 64 << 20, "\"128 KiB\"", "\"64 MiB\""}, bounds.packet);
  read_size(context_, table_, "max_session_memory", {1 << 20, std::int64_t{1} << 30, "\"1 MiB\"", "\"1 GiB\""},
            bounds.session_memory);
  read_duration(context_, table_, "idle_timeout", {60'000, kDay, "\"1m\"", "\"1d\""}, bounds.idle);
  read_duration(context_, table_, "packet_timeout", {1000, 300'000, "\"1s\"", "\"5m\""}, bounds.packet_time);
  read_duration(context_, table_, "drain_timeout", {1000, 300'000, "\"1s\"", "\"5m\""}, bounds.drain);
}

}  // namespace replygate
