#include "policy/rules/needs.h"

#include <algorithm>

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

}  // namespace

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
    needs.dead |= rule.needs(Fact::recipient_dead);
    needs.add_headers |= !rule.headers.empty();
    needs.hold |= std::holds_alternative<Hold>(rule.outcome);
  }
  return needs;
}

}  // namespace replygate
