#include <algorithm>

#include "policy/decide/inquiry.h"

namespace replygate {

Charge charge_of(const Ask& ask, std::uint32_t group, bool even_if_full, bool reserve) {
  Charge charge;
  fill_charge(charge, ask, group, even_if_full, reserve);
  return charge;
}

void fill_charge(Charge& charge, const Ask& ask, std::uint32_t group, bool even_if_full, bool reserve) {
  const Limit& limit = ask.limit;
  charge.counter = ask.counter;
  charge.most = limit.depth();
  charge.cost = ask.cost;
  charge.group = group;
  charge.even_if_full = even_if_full;
  charge.pardoned = false;
  charge.again = 0;
  charge.reserve = reserve;
  charge.warn_at = 0;
  charge.member.clear();
  charge.local = ask.rule->on_store_error == OnStoreError::local;
  charge.was = ask.was;
  if (ask.purpose == Ask::Purpose::sighting) {
    charge.measure = *ask.rule->greylist;
    charge.even_if_full = true;
    charge.reserve = false;
    charge.pardoned = ask.rule->greylist->after > 0;
  } else if (limit.scope == Scope::calendar) {
    charge.measure = Fixed{ask.until};
  } else if (limit.unit == Unit::distinct_recipients) {
    charge.measure = Distinct{limit.period};
    charge.member = ask.member;
  } else if (counts_outcomes(limit.unit)) {
    charge.measure = Distinct{limit.period};  // so that what is told twice counts once
    charge.member = ask.member;
  } else if (limit.burst > 0) {
    charge.measure = Bucket::Rate{limit.most, limit.period};
  } else {
    charge.measure = Sliding{limit.period};
  }
  if (ask.purpose == Ask::Purpose::limit && ask.rule->warn_at > 0) {
    charge.warn_at = std::max<std::int64_t>(1, (charge.most * ask.rule->warn_at + 99) / 100);
  }
}

}  // namespace replygate
