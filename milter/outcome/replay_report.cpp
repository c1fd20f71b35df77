#include "milter/outcome/replay_report.h"

#include <algorithm>

namespace replygate {
namespace {

constexpr std::size_t kMostReplayKeys = 20000;  // of one rule

ReplayReport::Example example_of(const Replayed& r) {
  return {.time = r.transaction->time,
          .ref = std::string(r.ref),
          .recipient = std::string(r.recipient),
          .sender = r.transaction->sender,
          .was = r.was,
          .now = r.now,
          .text = r.text,
          .use = r.use};
}

}  // namespace

void ReplayReport::note(Change& change, const std::string& rule, const std::string& place, const Replayed& replayed) {
  ++change.recipients;
  ByRule& by_rule = change.rules[rule];
  by_rule.place = place;
  ++by_rule.recipients;
  const auto found = by_rule.keys.find(replayed.key);
  if (found != by_rule.keys.end()) {
    ++found->second.recipients;
  } else if (by_rule.keys.size() < kMostReplayKeys) {
    by_rule.keys.emplace(replayed.key, Key{1, example_of(replayed)});
  } else {
    ++by_rule.of_other_keys;
  }
}

void ReplayReport::replayed(const Replayed& r) {
  const Instant time = r.transaction->time;
  if (time < since_) {
    ++warming;
    return;
  }
  ++recipients;
  first = first == Instant() ? time : std::min(first, time);
  last = std::max(last, time);
  if (r.left) {
    ++left;
    return;
  }
  if (r.now.code == 0) {
    for (const Rule* rule : r.observed) note(observed, rule->name, rule->place.text(), r);
  }
  const std::string place = r.rule == nullptr ? "" : r.rule->place.text();
  if (r.was.code == r.now.code && (r.now.code == 0 || r.was.rule == r.now.rule)) {
    ++same;
  } else if (r.was.code == 0) {
    note(refused, r.now.rule, place, r);
  } else if (r.now.code == 0) {
    note(accepted, r.was.rule, "", r);
  } else {
    note(other, r.now.rule, place, r);
  }
}

}  // namespace replygate
