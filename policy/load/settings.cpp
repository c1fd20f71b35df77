#include "policy/load/settings.h"

#include <algorithm>

#include "policy/load/items.h"
#include "policy/load/list_source.h"
#include "policy/load/live_source.h"
#include "policy/load/milter_settings.h"
#include "policy/load/notify_settings.h"
#include "policy/load/quantities.h"
#include "policy/load/report_settings.h"
#include "policy/load/service_settings.h"
#include "policy/load/store_settings.h"
#include "policy/mail/domain.h"

namespace replygate {
namespace {

constexpr std::pair<std::string_view, LogFormat> kFormats[] = {{"json", LogFormat::json},
                                                               {"logfmt", LogFormat::logfmt}};
constexpr std::pair<std::string_view, SenderForm> kSenderForms[] = {
    {"batv", SenderForm::batv}, {"srs", SenderForm::srs}, {"verp", SenderForm::verp}};
constexpr std::string_view kSiteLists[] = {"local_domains", "relay_domains", "trusted_networks"};

}  // namespace

const Node* SettingsLoader::section(std::string_view name) {
  const Entry* entry = root_.find(name);
  if (entry == nullptr || !context_.expect(entry->value, Node::Kind::table, fmt::format("[{}]", name))) return nullptr;
  return &entry->value;
}

void SettingsLoader::define_lists(const std::vector<const Node*>& documents) {
  for (const std::string_view name : kSiteLists) {
    patterns_.define({std::string(name), {}, Node{.kind = Node::Kind::array}});
  }
  if (const Node* table = section("site")) {
    context_.check_keys(*table, "site", "[site]");
    for (const std::string_view name : kSiteLists) {
      const Entry* list = table->find(name);
      if (list == nullptr) continue;
      if (names_live_source(list->value)) {
        context_.error(Rg::live_list, list->value.region,
                       fmt::format("{} must be known as a whole, and this is asked while mail comes", list->key),
                       "write a list, a file or a query in SQLite");
        continue;
      }
      patterns_.define(*list);
      lists_.emplace(list->key, list->key_region);
    }
  }
  for (const Node* document : documents) {
    const Entry* maps = document->find("maps");
    if (maps != nullptr && context_.expect(maps->value, Node::Kind::table, "[maps]")) {
      for (const Entry& entry : maps->value.entries) patterns_.maps().define(entry);
    }
    const Entry* lists = document->find("lists");
    if (lists != nullptr && context_.expect(lists->value, Node::Kind::table, "[lists]"))
      define_named_lists(lists->value);
  }
}

void SettingsLoader::define_named_lists(const Node& table) {
  for (const Entry& entry : table.entries) {
    const auto [before, added] = lists_.try_emplace(entry.key, entry.key_region);
    if (added) {
      patterns_.define(entry);
      continue;
    }
    Diagnostic& d = context_.error(Rg::defined_twice, entry.key_region,
                                   fmt::format("the list \"{}\" is defined already", entry.key), "choose another name");
    d.secondary = Label{before->second, "here"};
  }
}

Settings SettingsLoader::load() {
  Settings settings;
  if (const Node* table = section("milter")) {
    MilterLoader milter(context_, *table);
    milter.load(settings);
    mode_ = milter.mode();
  }
  if (const Node* table = section("policy_service")) {
    context_.check_keys(*table, "policy_service", "[policy_service]");
    if (const Entry* e = table->find("listen")) settings.policy_service = parse_socket(context_, e->value);
  }
  if (const Node* table = section("log")) load_log(*table, settings);
  if (const Node* table = section("store")) settings.store = load_store_settings(context_, *table);
  if (const Node* table = section("mailbox")) load_mailbox(*table, settings);
  ServiceLoader services(context_);
  if (const Node* table = section("control")) services.control(*table, settings);
  if (const Node* table = section("metrics")) services.metrics(*table, settings);
  if (const Node* table = section("history")) services.history(*table, settings.history);
  if (const Node* table = section("outcomes")) services.outcomes(*table, settings.outcomes);
  if (const Node* table = section("report")) load_report_settings(context_, *table, settings.report);
  if (const Node* table = section("notify")) {
    NotifyLoader notify(context_, settings.notify);
    notify.load(*table);
    notify.expect_somebody(*table, !settings.report.to.empty());
    if (section("outcomes") == nullptr) notify.warn_without_outcomes(*table);
  }
  return settings;
}

void SettingsLoader::load_log(const Node& table, Settings& settings) {
  context_.check_keys(table, "log", "[log]");
  if (const Entry* e = table.find("decisions")) {
    settings.log_sinks.clear();
    each_item(e->value, [&](const Node& item) { add_sink(item, settings); });
  }
  if (const Entry* e = table.find("format")) {
    if (const auto value = choice(context_, e->value, "format", kFormats)) settings.log_format = *value;
  }
}

void SettingsLoader::add_sink(const Node& node, Settings& settings) {
  if (!context_.expect(node, Node::Kind::string, "decisions")) return;
  const std::string& text = node.string;
  constexpr std::string_view words[] = {"journal", "syslog", "stdout"};
  if (std::ranges::find(words, text) != std::end(words) || (text.starts_with("file:/") && text.size() > 6)) {
    settings.log_sinks.push_back(text);
  } else {
    context_.error(Rg::not_a_choice, node.region, fmt::format("\"{}\" is not a place for a log", text),
                   text.starts_with('/') ? fmt::format("write \"file:{}\"", text)
                                         : "write \"journal\", \"syslog\", \"stdout\" or \"file:/path\"");
  }
}

void SettingsLoader::load_mailbox(const Node& table, Settings& settings) {
  context_.check_keys(table, "mailbox", "[mailbox]");
  MailboxSource& mailbox = settings.mailbox;
  read_duration(context_, table, "timeout", {1000, 20'000, "\"1s\"", "\"20s\""}, mailbox.timeout);
  const Entry* service = table.find("quota_status");
  if (service == nullptr) {
    if (const auto source = parse_source(context_, table, "[mailbox]")) mailbox.source = source->source;
    return;
  }
  if (const Entry* other = table.find("file") != nullptr ? table.find("file") : table.find("sqlite")) {
    context_.error(Rg::mailbox_source, other->key_region, "there is one source for mailboxes", "remove one");
  }
  if (service->value.kind == Node::Kind::string && service->value.string.starts_with("fd:")) {
    context_.error(Rg::mailbox_source, service->value.region, "Dovecot's service has an address",
                   "write \"inet:12340@127.0.0.1\" or \"unix:/path\"");
    return;
  }
  mailbox.quota_status = parse_socket(context_, service->value);
}

Site SettingsLoader::site() {
  Site site;
  site.local_domains = patterns_.texts("local_domains", subject_of(FactKind::domain));
  site.relay_domains = patterns_.texts("relay_domains", subject_of(FactKind::domain));
  site.trusted_networks = patterns_.networks("trusted_networks");
  const std::string first = patterns_.first_domain("local_domains");
  if (!first.empty()) site.default_domain = first;
  if (const Node* table = section("site")) {
    if (const Entry* e = table->find("default_domain");
        e != nullptr && context_.expect(e->value, Node::Kind::string, "default_domain")) {
      if (auto domain = canonical_domain(e->value.string)) {
        site.default_domain = *std::move(domain);
      } else {
        context_.error(Rg::domain, e->value.region, fmt::format("\"{}\" is not a domain", e->value.string));
      }
    }
  }
  site.postmaster_domain = site.default_domain;
  if (!site.local_domains->contains(site.default_domain)) {
    const PackedTexts& trees = site.local_domains->trees();
    if (!first.empty()) {
      site.postmaster_domain = first;
    } else if (!trees.empty()) {
      site.postmaster_domain = *std::ranges::min_element(trees);
    }
  }
  if (const Node* table = section("site")) {
    if (const Entry* e = table->find("relay")) {
      constexpr std::pair<std::string_view, bool> choices[] = {{"mta", true}, {"policy", false}};
      if (const auto value = choice(context_, e->value, "relay", choices)) site.relay_by_mta = *value;
    }
  }
  if (const Node* table = section("keys")) load_keys(*table, site);
  return site;
}

void SettingsLoader::load_keys(const Node& table, Site& site) {
  context_.check_keys(table, "keys", "[keys]");
  site.ipv4_prefix = prefix(table, "ipv4_prefix", site.ipv4_prefix, 32);
  site.ipv6_prefix = prefix(table, "ipv6_prefix", site.ipv6_prefix, 128);
  load_zone(table, site);
  load_subaddress(table, site);
  load_normalize(table, site);
  load_login_domain(table, site);
}

void SettingsLoader::load_subaddress(const Node& table, Site& site) {
  const Entry* e = table.find("subaddress");
  if (e == nullptr || !context_.expect(e->value, Node::Kind::string, "subaddress")) return;
  site.subaddress = e->value.string;
  if (site.subaddress.find_first_of("@\"") != std::string::npos) {
    context_.error(Rg::not_a_choice, e->value.region, "an address cannot be parted at this character",
                   "write for instance subaddress = \"+\"");
  }
}

void SettingsLoader::load_normalize(const Node& table, Site& site) {
  const Entry* e = table.find("normalize");
  if (e == nullptr || !context_.expect(e->value, Node::Kind::array, "normalize")) return;
  for (const Node& item : e->value.items) {
    if (const auto form = choice(context_, item, "normalize", kSenderForms)) {
      site.normalize = static_cast<SenderForms>(site.normalize | bit(*form));
    }
  }
}

void SettingsLoader::load_login_domain(const Node& table, Site& site) {
  const Entry* e = table.find("login_domain");
  if (e == nullptr || !context_.expect(e->value, Node::Kind::string, "login_domain")) return;
  if (auto domain = canonical_domain(e->value.string)) {
    site.login_domain = *std::move(domain);
  } else {
    context_.error(Rg::domain, e->value.region, fmt::format("\"{}\" is not a domain", e->value.string),
                   "write for instance login_domain = \"example.org\"");
  }
}

void SettingsLoader::load_zone(const Node& table, Site& site) {
  const Entry* e = table.find("timezone");
  if (e == nullptr || !context_.expect(e->value, Node::Kind::string, "timezone")) return;
  if (auto zone = Zone::named(e->value.string)) {
    site.zone = *std::move(zone);
  } else {
    context_.error(Rg::timezone, e->value.region, fmt::format("there is no time zone \"{}\"", e->value.string),
                   "write for instance \"Europe/Berlin\" or \"UTC\"");
  }
}

unsigned SettingsLoader::prefix(const Node& table, std::string_view key, unsigned standard, unsigned most) {
  const Entry* e = table.find(key);
  if (e == nullptr || !context_.expect(e->value, Node::Kind::integer, key)) return standard;
  if (e->value.integer < 1 || e->value.integer > most) {
    context_.error(Rg::out_of_range, e->value.region,
                   fmt::format("{} = {} is not a prefix length", key, e->value.integer),
                   fmt::format("write a number from 1 to {}", most));
    return standard;
  }
  return static_cast<unsigned>(e->value.integer);
}

RuleDefaults SettingsLoader::rule_defaults(const Settings& settings) const {
  return {.mode = mode_, .on_unknown = settings.on_error == OnError::tempfail ? OnUnknown::tempfail : OnUnknown::skip};
}

}  // namespace replygate
