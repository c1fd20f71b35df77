#include "milter/serve/tail.h"

#include <algorithm>

#include "policy/mail/text.h"

namespace replygate {
namespace {

bool names(const Verdict& verdict, const std::function<bool(const Finding&)>& wanted) {
  return (verdict.refusal && wanted(*verdict.refusal)) || std::ranges::any_of(verdict.observed, wanted);
}

bool some_finding(const Record& record, const std::function<bool(const Finding&)>& wanted) {
  return names(record.message, wanted) ||
         std::ranges::any_of(record.recipients, [&](const JudgedRecipient& j) { return names(j.verdict, wanted); });
}

bool accepted_by(const Record& record, std::string_view rule) {
  const auto by = [&](const Verdict& v) { return v.accepted_by != nullptr && v.accepted_by->name == rule; };
  return by(record.message) ||
         std::ranges::any_of(record.recipients, [&](const JudgedRecipient& j) { return by(j.verdict); });
}

bool has_address(const Record& record, std::string_view address) {
  const auto same = [&](std::string_view text) { return equal_ignoring_case(text, address); };
  return same(record.transaction.sender.full) || same(record.transaction.user) ||
         std::ranges::any_of(record.recipients, [&](const JudgedRecipient& j) {
           return same(j.recipient.address.full) || same(j.recipient.raw);
         });
}

}  // namespace

bool Tail::matches(const Filter& filter, const Record& record) {
  if (!filter.address.empty() && !has_address(record, filter.address)) return false;
  if (!filter.rule.empty() && !accepted_by(record, filter.rule) &&
      !some_finding(record, [&](const Finding& f) { return f.rule->name == filter.rule; })) {
    return false;
  }
  if (filter.code != 0 && !some_finding(record, [&](const Finding& f) { return f.reply.code() == filter.code; })) {
    return false;
  }
  return !filter.from || (record.connection.ip && filter.from->contains(*record.connection.ip));
}

std::uint64_t Tail::watch(Filter filter, Watcher watcher) {
  const std::lock_guard lock(mutex_);
  watching_.emplace(++last_id_, std::pair(std::move(filter), std::move(watcher)));
  ++watchers_;
  return last_id_;
}

void Tail::unwatch(std::uint64_t id) {
  const std::lock_guard lock(mutex_);
  if (watching_.erase(id) > 0) --watchers_;
}

void Tail::hear(Rendering& rendering) {
  if (watchers_ == 0) return;
  const std::lock_guard lock(mutex_);
  for (const auto& [id, watching] : watching_) {
    const auto& [filter, watcher] = watching;
    if (!filter.outcomes && matches(filter, rendering.record())) watcher(rendering.json());
  }
}

void Tail::tell_outcome(std::initializer_list<std::string_view> addresses, std::string_view client_ip,
                        const std::string& line) {
  if (watchers_ == 0) return;
  const auto ip = IpAddress::parse(client_ip);
  const std::lock_guard lock(mutex_);
  for (const auto& [id, watching] : watching_) {
    const auto& [filter, watcher] = watching;
    const auto wanted = [&](std::string_view address) { return equal_ignoring_case(address, filter.address); };
    const bool named = filter.address.empty() || std::ranges::any_of(addresses, wanted);
    const bool from = !filter.from || (ip && filter.from->contains(*ip));
    if (filter.outcomes && named && from) watcher(line);
  }
}

}  // namespace replygate
