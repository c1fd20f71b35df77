#include "policy/load/milter_settings.h"

#include <algorithm>

#include "policy/load/socket.h"
#include "policy/mail/quantity.h"

namespace replygate {
namespace {

constexpr std::pair<std::string_view, OnError> kOnError[] = {{"tempfail", OnError::tempfail},
                                                             {"accept", OnError::accept}};
constexpr std::pair<std::string_view, Mode> kModes[] = {{"enforce", Mode::enforce}, {"observe", Mode::observe}};
constexpr std::pair<std::string_view, Engine> kEngines[] = {{"asio", Engine::asio}, {"libmilter", Engine::libmilter}};
constexpr std::string_view kAsioAlone[] = {"packet_timeout", "max_connections", "max_packet", "max_session_memory",
                                           "threads"};

}  // namespace

// Both ends belong to it; the texts are the ends as a policy writes them.
struct MilterLoader::Range {
  std::int64_t least;
  std::int64_t most;
  std::string_view least_text;
  std::string_view most_text;
};

std::string parse_socket(Context& context, const Node& node) {
  if (!context.expect(node, Node::Kind::string, "listen")) return "";
  const auto address = SocketAddress::parse(node.string);
  if (!address) {
    context.error(
        Rg::socket_address, node.region, fmt::format("\"{}\" is no socket address", node.string),
        "write \"inet:8891@127.0.0.1\", \"inet6:8891@[::1]\", \"unix:/run/replygate/milter.sock\" or \"fd:3\"");
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
  if (e->value.kind != Node::Kind::array) return add(e->value);
  std::ranges::for_each(e->value.items, add);
  if (e->value.items.empty()) {
    context_.error(Rg::socket_address, e->value.region, "listen is empty: no MTA could ask",
                   "write for instance listen = \"inet:8891@127.0.0.1\"");
  }
}

void MilterLoader::load_bounds(DoorBounds& bounds) {
  constexpr std::int64_t kDay = 86400;
  number("max_connections", {1, 1000000, "1", "1000000"}, bounds.connections);
  number("threads", {1, 64, "1", "64"}, bounds.threads);
  size("max_packet", {128 << 10, 64 << 20, "\"128 KiB\"", "\"64 MiB\""}, bounds.packet);
  size("max_session_memory", {1 << 20, std::int64_t{1} << 30, "\"1 MiB\"", "\"1 GiB\""}, bounds.session_memory);
  duration("idle_timeout", {60, kDay, "\"1m\"", "\"1d\""}, bounds.idle);
  duration("packet_timeout", {1, 300, "\"1s\"", "\"5m\""}, bounds.packet_time);
  duration("drain_timeout", {1, 300, "\"1s\"", "\"5m\""}, bounds.drain);
}

bool MilterLoader::in_range(const Node& node, std::string_view key, std::int64_t value, const Range& range) {
  if (value >= range.least && value <= range.most) return true;
  context_.error(Rg::out_of_range, node.region, fmt::format("{} is out of range", key),
                 fmt::format("write something from {} to {}", range.least_text, range.most_text));
  return false;
}

void MilterLoader::number(std::string_view key, const Range& range, std::int64_t& value) {
  const Entry* e = table_.find(key);
  if (e == nullptr || !context_.expect(e->value, Node::Kind::integer, key)) return;
  if (in_range(e->value, key, e->value.integer, range)) value = e->value.integer;
}

void MilterLoader::size(std::string_view key, const Range& range, std::int64_t& value) {
  const Entry* e = table_.find(key);
  if (e == nullptr) return;
  if (e->value.kind == Node::Kind::integer) {
    context_.error(Rg::unit_missing, e->value.region, fmt::format("{} is a size; {} of what?", key, e->value.integer),
                   fmt::format("write for instance {}", range.most_text));
    return;
  }
  if (!context_.expect(e->value, Node::Kind::string, key)) return;
  const auto octets = parse_size(e->value.string);
  if (!octets) {
    context_.error(Rg::quantity, e->value.region, fmt::format("\"{}\" is no size", e->value.string),
                   fmt::format("write for instance {}", range.most_text));
  } else if (in_range(e->value, key, *octets, range)) {
    value = *octets;
  }
}

void MilterLoader::duration(std::string_view key, const Range& range, Duration& value) {
  const Entry* e = table_.find(key);
  if (e == nullptr) return;
  if (e->value.kind == Node::Kind::integer) {
    context_.error(Rg::unit_missing, e->value.region,
                   fmt::format("{} is a duration; {} of what?", key, e->value.integer),
                   fmt::format("write for instance \"{}s\"", e->value.integer));
    return;
  }
  if (!context_.expect(e->value, Node::Kind::string, key)) return;
  const auto time = parse_duration(e->value.string);
  if (!time) {
    context_.error(Rg::quantity, e->value.region, fmt::format("\"{}\" is no duration", e->value.string),
                   fmt::format("write for instance {}", range.most_text));
  } else if (in_range(e->value, key, *time / std::chrono::seconds(1), range)) {
    value = *time;
  }
}

}  // namespace replygate
