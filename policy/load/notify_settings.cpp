#include "policy/load/notify_settings.h"

#include <algorithm>

#include "policy/load/items.h"
#include "policy/load/mail_address.h"
#include "policy/load/quantities.h"
#include "policy/load/socket.h"
#include "policy/mail/address.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

using Event = NotifySettings::Event;

constexpr std::pair<std::string_view, Event> kEvents[] = {
    {"warning", Event::warning}, {"first-refusal", Event::first_refusal},
    {"held", Event::held},       {"eviction", Event::eviction},
    {"store", Event::store},     {"bounces", Event::bounces},
    {"blocked", Event::blocked}};
constexpr std::pair<std::string_view, Event> kUserEvents[] = {{"warning", Event::warning},
                                                              {"first-refusal", Event::first_refusal}};
constexpr std::string_view kUserPlaceholder = "{user}";

bool is_url(std::string_view text) {
  const bool scheme = text.starts_with("http://") || text.starts_with("https://");
  const auto plain = [](char c) { return c > ' ' && c < '\x7f'; };
  return scheme && text.find("//") + 2 < text.size() && std::ranges::all_of(text, plain);
}

}  // namespace

void NotifyLoader::load(const Node& table) {
  context_.check_keys(table, "notify", "[notify]");
  read_duration(context_, table, "pause", {1000, kLongestKept, "\"1s\"", "\"366d\""}, settings_.pause);
  read_number(context_, table, "most_per_hour", {1, 1000, "1", "1000"}, settings_.most_per_hour);
  addresses(table);
  if (const Entry* e = table.find("on")) events(*e, kEvents, settings_.on);
  server(table);
  webhook(table);
  users(table);
}

// Reports are carried by the MTA, and have the sender, that notes would have.
void NotifyLoader::expect_somebody(const Node& table, bool reports) {
  if (!settings_.nobody()) return;
  const auto idle = [&](const Entry& e) { return !reports || (e.key != "smtp" && e.key != "from"); };
  const auto it = std::ranges::find_if(table.entries, idle);
  if (it == table.entries.end()) return;
  context_.error(Rg::service, it->key_region, "[notify] does not say whom",
                 "add to = \"postmaster@example.org\", or webhook = \"https://hooks.example.org/mail\"");
}

void NotifyLoader::server(const Node& table) {
  const Entry* e = table.find("smtp");
  if (e == nullptr || !context_.expect(e->value, Node::Kind::string, "smtp")) return;
  if (const auto server = SocketAddress::parse_server(e->value.string)) {
    settings_.smtp = server->text();
  } else {
    context_.error(Rg::socket_address, e->value.region,
                   fmt::format("\"{}\" is not an address of a server", e->value.string),
                   "write for instance \"inet:25@127.0.0.1\"");
  }
}

void NotifyLoader::webhook(const Node& table) {
  const Entry* e = table.find("webhook");
  if (e == nullptr || !context_.expect(e->value, Node::Kind::string, "webhook")) return;
  settings_.webhook = e->value.string;
  if (is_url(settings_.webhook)) return;
  context_.error(Rg::service, e->value.region, fmt::format("\"{}\" is not an address of a web server", e->value.string),
                 "write for instance \"https://hooks.example.org/mail\"");
}

void NotifyLoader::addresses(const Node& table) {
  if (const Entry* e = table.find("from")) read_mail_address(context_, e->value, "from", settings_.from);
  const Entry* e = table.find("to");
  if (e != nullptr) each_item(e->value, [this](const Node& item) { recipient(item); });
}

void NotifyLoader::recipient(const Node& node) {
  const bool user = node.kind == Node::Kind::string && node.string.find('{') != std::string::npos;
  if (user) return user_recipient(node);
  read_mail_address(context_, node, "to", settings_.to.emplace_back());
}

// A login is an address, or becomes one with a domain behind it.
void NotifyLoader::user_recipient(const Node& node) {
  std::string domain = node.string;
  settings_.users.to.push_back(node.string);
  if (domain.starts_with(kUserPlaceholder)) {
    domain.erase(0, kUserPlaceholder.size());
    if (domain.empty() || is_mail_address(mail_address("user" + domain))) return;
  }
  context_.error(Rg::service, node.region, fmt::format("\"{}\" does not become an address", node.string),
                 "write \"{user}\" where logins are addresses, or \"{user}@example.org\" where they are not");
}

template <std::size_t N>
void NotifyLoader::events(const Entry& entry, const std::pair<std::string_view, Event> (&choices)[N],
                          std::vector<Event>& events) {
  events.clear();
  each_item(entry.value, [&](const Node& item) {
    if (const auto event = choice(context_, item, entry.key, choices)) events.push_back(*event);
  });
}

void NotifyLoader::warn_without_outcomes(const Node& table) {
  const Entry* on = table.find("on");
  if (on == nullptr) return;
  const auto look = [&](const Node& item) {
    if (item.kind != Node::Kind::string || (item.string != "bounces" && item.string != "blocked")) return;
    context_.warning(Rg::outcomes_unknown, item.region,
                     fmt::format("\"{}\" never happens, as nothing tells what became of mail", item.string),
                     "add [outcomes] with log = \"journal\" or log = \"/var/log/mail.log\"");
  };
  each_item(on->value, look);
}

void NotifyLoader::users(const Node& table) {
  NotifySettings::Users& users = settings_.users;
  read_duration(context_, table, "user_pause", {60'000, kLongestKept, "\"1m\"", "\"366d\""}, users.pause);
  if (const Entry* e = table.find("user_on")) events(*e, kUserEvents, users.on);
  if (const Entry* e = table.find("user_warning")) user_text(*e, Event::warning, users.warning);
  if (const Entry* e = table.find("user_refusal")) user_text(*e, Event::first_refusal, users.refusal);
  if (!users.to.empty()) return;
  const auto it = std::ranges::find_if(table.entries, [](const Entry& e) { return e.key.starts_with("user_"); });
  if (it == table.entries.end()) return;
  context_.error(Rg::service, it->key_region, fmt::format("{} is for users, and none is written to", it->key),
                 "add \"{user}\" to `to`");
}

void NotifyLoader::user_text(const Entry& entry, Event event, UserText& text) {
  if (!context_.expect(entry.value, Node::Kind::table, entry.key)) return;
  context_.check_keys(entry.value, "user_text", entry.key);
  if (const Entry* e = entry.value.find("text")) text.text = text_of(e->value, event);
  const Entry* e = entry.value.find("subject");
  if (e == nullptr) return;
  text.subject = text_of(e->value, event);
  if (text.subject && text.subject->lines() > 1) {
    context_.error(Rg::service, e->value.region, "a subject has one line", "make it one line");
  }
}

std::optional<ReplyTemplate> NotifyLoader::text_of(const Node& node, Event event) {
  if (!context_.expect(node, Node::Kind::string, "a text")) return std::nullopt;
  auto parsed = ReplyTemplate::parse(node.string, TextFor::mail);
  if (const auto* mistakes = std::get_if<ReplyTemplate::Mistakes>(&parsed)) {
    const bool one_line = node.string.find('\n') == std::string::npos;
    for (const auto& m : *mistakes) {
      context_.error(Rg::reply_text, one_line ? part_of(node, m.at, m.length) : node.region, m.message, m.help);
    }
    return std::nullopt;
  }
  auto& text = std::get<ReplyTemplate>(parsed);
  if (trim(text.source()).empty()) {
    context_.error(Rg::service, node.region, "the text is empty", "write what the user reads, or omit the key");
  } else if (event == Event::warning && text.names(Word::retry_after)) {
    context_.error(Rg::service, node.region, "a warning refuses nothing, so it has no {retry_after}",
                   "name {limit} and {used}");
  } else if (std::ranges::any_of(text.facts(), [](const FactRef& f) { return f.fact == Fact::header; })) {
    context_.error(Rg::service, node.region, "mail to a user names no header fields", "name facts of the envelope");
  }
  return std::move(text);
}

}  // namespace replygate
