#include "policy/policy.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "policy/mail/quantity.h"

namespace replygate {
namespace {

bool closes(const Rule& rule) {
  const auto* reply = std::get_if<ReplySpec>(&rule.outcome);
  return reply != nullptr && closes_connection(reply->code);
}

bool closes_early(const Rule& rule) {
  return closes(rule) ||
         std::ranges::any_of(rule.escalate, [](const Escalation& step) { return closes_connection(step.reply.code); });
}

void add_names(const Rule& rule, std::vector<std::string>& names) {
  for (const FactRef& ref : rule.named_facts()) {
    if (ref.fact == Fact::header && std::ranges::find(names, ref.header) == names.end()) names.push_back(ref.header);
  }
}

Needs needs_of(const std::vector<Rule>& rules) {
  Needs needs;
  for (const Rule& rule : rules) {
    needs.size |= rule.counts(Unit::bytes) || rule.needs(Fact::size);
    needs.digest |= rule.needs(Fact::digest);
    needs.header_count |= rule.needs(Fact::header_count);
    add_names(rule, needs.headers);
    needs.data |= rule.stage == Stage::data;
    needs.reply_at_connect |= rule.stage == Stage::connect && closes_early(rule);
    needs.reply_at_helo |= rule.stage == Stage::helo && closes_early(rule);
    needs.reply_at_mail |= rule.stage <= Stage::mail;
    needs.reply_at_headers |= rule.stage == Stage::header;
    needs.mailbox |= rule.needs(Fact::mailbox_used);
    needs.add_headers |= !rule.headers.empty();
    needs.hold |= std::holds_alternative<Hold>(rule.outcome);
  }
  return needs;
}

FactSet facts_of(const Rule& rule) {
  FactSet set = 0;
  for (const FactRef& ref : rule.named_facts()) set |= bit(ref.fact);
  return set;
}

std::vector<Rule> with_facts(std::vector<Rule> rules) {
  for (Rule& rule : rules) rule.facts = facts_of(rule);
  return rules;
}

std::string conditions_text(std::string_view word, const std::vector<Condition>& conditions) {
  std::string text;
  for (const Condition& c : conditions) {
    text += fmt::format("{}{} = {}", text.empty() ? "" : ", ", c.fact.text(), c.source);
  }
  return text.empty() ? "" : fmt::format("  {:<10} {{ {} }}\n", word, text);
}

std::string limits_text(const Limits& limits) {
  std::vector<std::string> texts;
  texts.reserve(limits.size());
  for (const Limit& limit : limits) texts.push_back('"' + limit.text() + '"');
  return texts.empty() ? "\"unlimited\"" : fmt::format("{}", fmt::join(texts, ", "));
}

std::string line(std::string_view word, std::string_view text) { return fmt::format("  {:<10} {}\n", word, text); }

std::string key_text(const Rule& rule) {
  std::vector<std::string> per;
  for (const FactRef& fact : rule.per) per.push_back(fact.text());
  return per.empty() ? "(one counter for all)" : fmt::format("{}", fmt::join(per, " + "));
}

std::string limit_text(const Rule& rule) {
  if (!rule.has_limits()) return rule.per.empty() ? "" : line("per", key_text(rule));
  std::string text = line("per", key_text(rule));
  if (rule.greylist) {
    const Greylisting& g = *rule.greylist;
    text += line("greylist", fmt::format("delay {}, retry_within {}, remember {}{}", format_duration(g.delay),
                                         format_duration(g.retry_within), format_duration(g.remember),
                                         g.after > 0 ? fmt::format(", known_after {}", g.after) : ""));
    if (!rule.pools.empty()) text += line("pools", fmt::format("{}", rule.pools.size()));
    return text;
  }
  text += line("limit", limits_text(rule.limits)) + line("count", to_string(rule.count));
  const auto overrides = rule.overrides.exact.size() + rule.overrides.patterns.size();
  if (overrides > 0) text += line("override", fmt::format("{} keys or patterns", overrides));
  if (rule.warn_at > 0) text += line("warn_at", fmt::format("{}%", rule.warn_at));
  return text;
}

std::string one_line(std::string text) {
  for (std::size_t at = 0; (at = text.find('\n', at)) != std::string::npos; at += 3) text.replace(at, 1, " / ");
  return text;
}

std::string reply_text(const ReplySpec& reply) {
  return fmt::format("{} {} \"{}\"  ({})", reply.code, reply.enhanced.text(), one_line(reply.text.source()),
                     reply.classification->slug);
}

std::string outcome_text(const Rule& rule) {
  std::string text;
  if (const auto* reply = std::get_if<ReplySpec>(&rule.outcome)) text = line("reply", reply_text(*reply));
  if (std::holds_alternative<Accept>(rule.outcome)) text = line("accept", "true");
  if (std::holds_alternative<Discard>(rule.outcome)) text = line("discard", "true");
  if (const auto* hold = std::get_if<Hold>(&rule.outcome)) text = line("hold", fmt::format("\"{}\"", hold->reason));
  for (const Escalation& step : rule.escalate) {
    text += line("escalate", fmt::format("after {}: {}", step.after.text(), reply_text(step.reply)));
  }
  for (const AddedHeader& h : rule.headers) text += line("header", fmt::format("{}: {}", h.name, h.value.source()));
  return text;
}

std::string rule_text(const Rule& rule, std::size_t number) {
  return fmt::format("{}. {}  ({}, at {})\n", number, rule.name, rule.place.text(), to_string(rule.stage)) +
         conditions_text("when", rule.when) + conditions_text("unless", rule.unless) + limit_text(rule) +
         outcome_text(rule) + line("mode", to_string(rule.mode)) +
         (rule.share < Rule::kWhole ? line("share", fmt::format("{}.{:02}%", rule.share / 100, rule.share % 100))
                                    : "") +
         line("on_unknown", to_string(rule.on_unknown)) +
         (rule.has_limits() ? line("on_store_error", to_string(rule.on_store_error)) : "") +
         (rule.was.empty() ? "" : line("was", rule.was));
}

std::string mailbox_text(const MailboxSource& mailbox) {
  if (mailbox.none()) return "";
  return fmt::format("mailbox    {}, timeout {}\n",
                     mailbox.source ? mailbox.source->text() : fmt::format("quota_status {}", mailbox.quota_status),
                     format_duration(mailbox.timeout));
}

std::string store_text(const StoreSettings& store) {
  using Backend = StoreSettings::Backend;
  std::string text = "store      ";
  if (store.backend == Backend::memory) text += "memory, ";
  if (store.backend == Backend::sqlite) {
    text += fmt::format("sqlite {}, durability {}, if_unusable {}, ", store.path,
                        store.durability == StoreSettings::Durability::commit ? "commit" : "window",
                        store.if_unusable == StoreSettings::Unusable::memory ? "memory" : "stop");
  }
  if (store.backend == Backend::redis) {
    text += fmt::format("redis {}, tls {}, prefix {}, timeout {}, connections {}, wait_replicas {}, ",
                        fmt::join(store.servers, ", "), store.tls, store.prefix, format_duration(store.timeout),
                        store.connections, store.wait_replicas);
    if (store.hosts > 0) text += fmt::format("hosts {}, ", store.hosts);
  }
  return text + fmt::format("max_keys {}, reservation_timeout {}\n", store.max_keys,
                            format_duration(store.reservation_timeout));
}

std::string services_text(const Settings& settings) {
  const HistorySettings& history = settings.history;
  const NotifySettings& notify = settings.notify;
  std::string text = fmt::format("control    listen {}\n", settings.control.empty() ? "(default)" : settings.control);
  if (!settings.metrics.empty()) text += fmt::format("metrics    listen {}\n", settings.metrics);
  text +=
      fmt::format("history    path {}, keep {}, max_records {}\n", history.path.empty() ? "(default)" : history.path,
                  format_duration(history.keep), history.records);
  if (notify.nobody()) return text;
  std::vector<std::string_view> events;
  for (const NotifySettings::Event event : notify.on) events.push_back(to_string(event));
  text += fmt::format("notify     on {}, pause {}, most_per_hour {}", fmt::join(events, ", "),
                      format_duration(notify.pause), notify.most_per_hour);
  if (!notify.to.empty()) text += fmt::format(", to {} by {}", fmt::join(notify.to, ", "), notify.smtp);
  if (!notify.webhook.empty()) text += fmt::format(", webhook {}", notify.webhook);
  return text + '\n';
}

std::string bounds_text(const Settings& settings) {
  const DoorBounds& b = settings.bounds;
  std::string text =
      fmt::format("bounds     idle_timeout {}, drain_timeout {}", format_duration(b.idle), format_duration(b.drain));
  if (settings.engine == Engine::asio) {
    text += fmt::format(", packet_timeout {}, max_connections {}, max_packet {}, max_session_memory {}, threads {}",
                        format_duration(b.packet_time), b.connections, format_size(b.packet),
                        format_size(b.session_memory), b.threads == 0 ? "by cores" : std::to_string(b.threads));
  }
  return text + "\n";
}

}  // namespace

std::string Place::text() const { return fmt::format("{}:{}", file, line); }

std::string_view to_string(NotifySettings::Event event) {
  constexpr std::array<std::string_view, 4> words = {"warning", "first-refusal", "eviction", "store"};
  return words[static_cast<std::size_t>(event)];
}

std::string_view to_string(Engine engine) { return engine == Engine::asio ? "asio" : "libmilter"; }
std::string_view to_string(Mode mode) { return mode == Mode::enforce ? "enforce" : "observe"; }
std::string_view to_string(OnUnknown on_unknown) { return on_unknown == OnUnknown::skip ? "skip" : "tempfail"; }
std::string_view to_string(OnStoreError on_store_error) {
  constexpr std::array<std::string_view, 3> words = {"tempfail", "accept", "local"};
  return words[static_cast<std::size_t>(on_store_error)];
}
std::string_view to_string(Count count) { return count == Count::accepted ? "accepted" : "attempts"; }

const Limits* Overrides::find(std::string_view key) const {
  if (const auto it = exact.find(key); it != exact.end()) return &it->second;
  for (const auto& [set, limits] : patterns) {
    if (set->contains(key)) return &limits;
  }
  return nullptr;
}

bool Rule::counts(Unit unit) const {
  const auto has = [&](const Limits& all) { return std::ranges::find(all, unit, &Limit::unit) != all.end(); };
  return has(limits) || std::ranges::any_of(overrides.exact, [&](const auto& own) { return has(own.second); }) ||
         std::ranges::any_of(overrides.patterns, [&](const auto& own) { return has(own.second); });
}

std::vector<FactRef> Rule::named_facts() const {
  std::vector<FactRef> named = per;
  for (const auto* conditions : {&when, &unless}) {
    for (const Condition& c : *conditions) named.push_back(c.fact);
  }
  const auto add = [&](const ReplyTemplate& text) {
    for (FactRef& ref : text.facts()) named.push_back(std::move(ref));
  };
  if (const auto* reply = std::get_if<ReplySpec>(&outcome)) add(reply->text);
  for (const Escalation& step : escalate) add(step.reply.text);
  for (const AddedHeader& header : headers) add(header.value);
  return named;
}

bool Rule::names_recipient_facts() const {
  return std::ranges::any_of(fact_table(), [&](const FactInfo& row) {
    return row.stage == Stage::rcpt && row.fact != Fact::recipients && needs(row.fact);
  });
}

bool Site::knows_domains() const { return !local_domains->empty() || !relay_domains->empty(); }

Policy::Policy(Site site, Settings settings, std::vector<Rule> rules, std::string id, Raises raises)
    : site_(std::move(site)),
      settings_(std::move(settings)),
      rules_(with_facts(std::move(rules))),
      id_(std::move(id)),
      raises_(std::move(raises)),
      needs_(needs_of(rules_)) {
  std::array<std::vector<const Rule*>, kStages.size()> by_stage;
  for (const Rule& rule : rules_) {
    by_stage[static_cast<std::size_t>(rule.stage)].push_back(&rule);
    if (rule.counts(Unit::refusals)) counting_refusals_.push_back(&rule);
    if (rule.counts(Unit::unknown_recipients)) counting_unknown_.push_back(&rule);
  }
  for (std::size_t i = 0; i < by_stage.size(); ++i) by_stage_[i] = RuleIndex(std::move(by_stage[i]));
}

std::shared_ptr<const Policy> Policy::with(Raises raises) const {
  std::string id = id_.substr(0, id_.find('+'));
  std::size_t digest = raises.size();
  for (const Raise& r : raises) {
    digest = digest * 31 + std::hash<std::string>()(fmt::format("{} {} {} {}", r.key, r.rule, r.percent,
                                                                r.until.time_since_epoch().count()));
  }
  if (!raises.empty()) id += fmt::format("+{:04x}", digest & 0xffff);
  return std::make_shared<const Policy>(site_, settings_, rules_, std::move(id), std::move(raises));
}

const std::vector<const Rule*>& Policy::rules_counting(Unit unit) const {
  return unit == Unit::refusals ? counting_refusals_ : counting_unknown_;
}

std::size_t Policy::named_rules() const {
  std::size_t count = 0;
  for (const Rule& rule : rules_) {
    if (rule.index == 0 || rules_[rule.index - 1].name != rule.name) ++count;
  }
  return count;
}

std::string Policy::text() const {
  std::string text = fmt::format("policy {}: {} rules\n", id_, named_rules());
  text += fmt::format("milter     listen {}, engine {}, on_error {}\n", fmt::join(settings_.listen, ", "),
                      to_string(settings_.engine), settings_.on_error == OnError::tempfail ? "tempfail" : "accept");
  text += bounds_text(settings_);
  if (!settings_.policy_service.empty()) text += fmt::format("policy_service listen {}\n", settings_.policy_service);
  text += fmt::format("log        {} to {}\n", settings_.log_format == LogFormat::json ? "json" : "logfmt",
                      fmt::join(settings_.log_sinks, ", "));
  text += fmt::format("keys       ipv4_prefix {}, ipv6_prefix {}, subaddress \"{}\", timezone {}\n", site_.ipv4_prefix,
                      site_.ipv6_prefix, site_.subaddress, site_.zone.name());
  text += fmt::format("site       default domain {}, relay {}\n", site_.default_domain,
                      site_.relay_by_mta ? "mta" : "policy");
  text += store_text(settings_.store);
  text += mailbox_text(settings_.mailbox);
  text += services_text(settings_);
  std::size_t number = 0;
  for (const Rule& rule : rules_) {
    if (rule.index == 0 || rules_[rule.index - 1].name != rule.name) ++number;
    text += '\n' + rule_text(rule, number);
  }
  return text;
}

}  // namespace replygate
