#include "policy/count/counter.h"

namespace replygate {
namespace {

template <typename... F>
struct Overloaded : F... {
  using F::operator()...;
};
template <typename... F>
Overloaded(F...) -> Overloaded<F...>;

Reading limit_reading(const Charge& c, std::int64_t used, std::int64_t cost) {
  return {.used = used, .cost = cost, .fits = used + cost <= c.most};
}

}  // namespace

Counter::Counter(const Measure& measure) : measure_(measure) {
  switch (measure.index()) {
    case 0: state_.emplace<Window>(); break;
    case 1: state_.emplace<Bucket>(); break;
    case 2: state_.emplace<FixedCount>(); break;
    case 3: state_.emplace<DistinctWindow>(); break;
    default: state_.emplace<Sighting>(); break;
  }
}

Reading Counter::read(const Charge& c, DistinctWindow::Member member, Instant now) const {
  return std::visit(
      Overloaded{[&](const Sliding& m) {
                   const auto& window = std::get<Window>(state_);
                   Reading r = limit_reading(c, window.used(now, m.period), c.cost);
                   r.room_at = r.fits ? std::optional(now) : window.room_at(c.cost, c.most, now, m.period);
                   return r;
                 },
                 [&](const Bucket::Rate& m) {
                   const auto& bucket = std::get<Bucket>(state_);
                   Reading r = limit_reading(c, bucket.used(now, m), c.cost);
                   r.room_at = r.fits ? std::optional(now) : bucket.room_at(c.cost, c.most, now, m);
                   return r;
                 },
                 [&](const Fixed& m) {
                   const auto& fixed = std::get<FixedCount>(state_);
                   Reading r = limit_reading(c, fixed.count + fixed.reserved, c.cost);
                   r.room_at = r.fits ? std::optional(now) : std::optional(m.until);
                   return r;
                 },
                 [&](const Distinct&) {
                   const auto& window = std::get<DistinctWindow>(state_);
                   const bool again = c.cost == 0 || window.contains(member, now);
                   Reading r = limit_reading(c, window.used(now), again ? 0 : 1);
                   r.room_at = r.fits ? std::optional(now) : window.room_at(c.most, now);
                   return r;
                 },
                 [&](const Greylisting& m) {
                   const auto& sighting = std::get<Sighting>(state_);
                   Reading r{.sighting = sighting.state(now, m)};
                   r.fits = r.sighting == Sighting::State::passing || r.sighting == Sighting::State::known;
                   const Instant first = r.sighting == Sighting::State::early ? sighting.first() : now;
                   r.room_at = r.fits ? now : first + m.delay;
                   return r;
                 }},
      c.measure);
}

void Counter::add(const Charge& c, DistinctWindow::Member member, Instant now) {
  measure_ = c.measure;
  std::visit(Overloaded{[&](const Sliding& m) { std::get<Window>(state_).add(c.cost, now, m.period); },
                        [&](const Bucket::Rate& m) { std::get<Bucket>(state_).add(c.cost, now, m); },
                        [&](const Fixed&) { std::get<FixedCount>(state_).count += c.cost; },
                        [&](const Distinct& m) {
                          if (c.cost > 0) std::get<DistinctWindow>(state_).add(member, now, m.period);
                        },
                        [&](const Greylisting& m) { std::get<Sighting>(state_).see(now, m); }},
             c.measure);
}

Counter::Hold Counter::reserve(const Charge& c, DistinctWindow::Member member, Instant now) {
  measure_ = c.measure;
  ++holds_;
  std::visit(Overloaded{[&](const Sliding&) { std::get<Window>(state_).reserve(c.cost); },
                        [&](const Bucket::Rate& m) { std::get<Bucket>(state_).add(c.cost, now, m); },
                        [&](const Fixed&) { std::get<FixedCount>(state_).reserved += c.cost; },
                        [&](const Distinct&) { std::get<DistinctWindow>(state_).reserve(member, now); },
                        [&](const Greylisting& m) { std::get<Sighting>(state_).see(now, m); }},
             c.measure);
  return {.cost = c.cost, .member = member, .taken = now};
}

void Counter::settle(const Hold& hold, Settlement settlement, Instant now) {
  --holds_;
  const bool keep = settlement == Settlement::keep;
  std::visit(Overloaded{[&](const Sliding& m) {
                          auto& window = std::get<Window>(state_);
                          keep ? window.keep(hold.cost, now, m.period) : window.give_back(hold.cost);
                        },
                        [&](const Bucket::Rate& m) {
                          if (!keep) std::get<Bucket>(state_).give_back(hold.cost, hold.taken, now, m);
                        },
                        [&](const Fixed&) {
                          auto& fixed = std::get<FixedCount>(state_);
                          fixed.reserved -= hold.cost;
                          if (keep) fixed.count += hold.cost;
                        },
                        [&](const Distinct& m) {
                          auto& window = std::get<DistinctWindow>(state_);
                          keep ? window.keep(hold.member, now, m.period) : window.give_back(hold.member);
                        },
                        [](const Greylisting&) {}},
             measure_);
}

bool Counter::warn(Instant now) {
  if (now < warned_until_) return false;
  warned_until_ = std::visit(
      Overloaded{[&](const Fixed& m) { return m.until; }, [&](const Greylisting& m) { return now + m.remember; },
                 [&](const auto& m) { return now + m.period; }},
      measure_);
  return true;
}

bool Counter::idle(Instant now) const {
  if (holds_ > 0 || now < warned_until_) return false;
  return std::visit(Overloaded{[&](const Sliding& m) { return std::get<Window>(state_).idle(now, m.period); },
                               [&](const Bucket::Rate& m) { return std::get<Bucket>(state_).used(now, m) == 0; },
                               [&](const Fixed& m) { return now >= m.until; },
                               [&](const Distinct&) { return std::get<DistinctWindow>(state_).used(now) == 0; },
                               [&](const Greylisting& m) { return std::get<Sighting>(state_).idle(now, m); }},
                    measure_);
}

}  // namespace replygate
