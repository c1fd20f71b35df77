#include "policy/count/counter.h"

#include <algorithm>

#include "policy/overloaded.h"

namespace replygate {
namespace {

constexpr std::int64_t kFormat = 1;

Reading limit_reading(const Charge& c, std::int64_t used, std::int64_t cost) {
  return {.used = used, .cost = cost, .fits = used + cost <= c.most};
}

Instant period_end(const Measure& measure, Instant now) {
  return std::visit(
      Overloaded{[](const Fixed& m) { return m.until; }, [&](const Greylisting& m) { return now + m.remember; },
                 [&](const auto& m) { return now + m.period; }},
      measure);
}

}  // namespace

Counter::Counter(const Measure& measure) {
  switch (measure.index()) {
    case 0: state_.emplace<Window>(); break;
    case 1: state_.emplace<Bucket>(); break;
    case 2: state_.emplace<FixedCount>(); break;
    case 3: state_.emplace<DistinctWindow>(); break;
    default: state_.emplace<Sighting>(); break;
  }
}

bool Counter::is(const Measure& measure) const {
  const auto same = [](Duration own, Duration asked) { return own == Duration(0) || own == asked; };
  if (state_.index() != measure.index()) return false;
  if (const auto* m = std::get_if<Sliding>(&measure)) return same(std::get<Window>(state_).period(), m->period);
  if (const auto* m = std::get_if<Distinct>(&measure))
    return same(std::get<DistinctWindow>(state_).period(), m->period);
  return true;
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

void Counter::visit(const Charge& c, std::int64_t used) {
  visits_ = static_cast<std::uint8_t>(std::min(visits_ + 1, 15));
  const std::int64_t most = std::max<std::int64_t>(c.most, 1);
  fullness_ = static_cast<std::uint8_t>(std::min<std::int64_t>(used, most - 1) / std::max<std::int64_t>(most / 16, 1));
  fullness_ = std::min<std::uint8_t>(fullness_, 15);
}

void Counter::add(const Charge& c, DistinctWindow::Member member, Instant now) {
  std::visit(Overloaded{[&](const Sliding& m) {
                          auto& window = std::get<Window>(state_);
                          window.add(c.cost, now, m.period);
                          visit(c, window.used(now, m.period));
                        },
                        [&](const Bucket::Rate& m) {
                          auto& bucket = std::get<Bucket>(state_);
                          bucket.add(c.cost, now, m);
                          visit(c, bucket.used(now, m));
                        },
                        [&](const Fixed& m) {
                          auto& fixed = std::get<FixedCount>(state_);
                          fixed.until = m.until;
                          fixed.count += c.cost;
                          visit(c, fixed.count);
                        },
                        [&](const Distinct& m) {
                          auto& window = std::get<DistinctWindow>(state_);
                          window.add(member, now, m.period);
                          visit(c, window.used(now));
                        },
                        [&](const Greylisting& m) {
                          const auto before = std::get<Sighting>(state_).see(now, m);
                          visit(c, before == Sighting::State::fresh ? 0 : c.most);
                        }},
             c.measure);
}

Counter::Hold Counter::reserve(const Charge& c, DistinctWindow::Member member, Instant now) {
  ++holds_;
  std::visit(Overloaded{[&](const Sliding&) { std::get<Window>(state_).reserve(c.cost); },
                        [&](const Bucket::Rate&) { std::get<Bucket>(state_).reserve(c.cost); },
                        [&](const Fixed& m) {
                          std::get<FixedCount>(state_).until = m.until;
                          std::get<FixedCount>(state_).reserved += c.cost;
                        },
                        [&](const Distinct& m) { std::get<DistinctWindow>(state_).reserve(member, now, m.period); },
                        [&](const Greylisting& m) { std::get<Sighting>(state_).see(now, m); }},
             c.measure);
  return {.measure = c.measure, .most = c.most, .cost = c.cost, .member = member};
}

void Counter::give_back(const Hold& hold, Instant now) {
  --holds_;
  std::visit(Overloaded{[&](const Sliding&) { std::get<Window>(state_).give_back(hold.cost); },
                        [&](const Bucket::Rate&) { std::get<Bucket>(state_).give_back(hold.cost); },
                        [&](const Fixed&) { std::get<FixedCount>(state_).reserved -= hold.cost; },
                        [&](const Distinct&) { std::get<DistinctWindow>(state_).give_back(hold.member, now); },
                        [](const Greylisting&) {}},
             hold.measure);
}

void Counter::keep(const Hold& hold, Instant now) {
  add({.measure = hold.measure, .most = hold.most, .cost = hold.cost}, hold.member, now);
}

bool Counter::warn(const Measure& measure, Instant now) {
  if (now < warned_until_) return false;
  warned_until_ = period_end(measure, now);
  return true;
}

bool Counter::idle(Instant now) const {
  if (holds_ > 0 || now < warned_until_) return false;
  return std::visit(Overloaded{[&](const FixedCount& fixed) { return now >= fixed.until; },
                               [&](const auto& state) { return now >= state.idle_at(); }},
                    state_);
}

void Counter::save(PackedWriter& out, Duration shift) const {
  out.number(kFormat);
  out.number(static_cast<std::int64_t>(state_.index()));
  out.number(warned_until_ == Instant{} ? 0 : (warned_until_ + shift).time_since_epoch().count());
  out.number(visits_);
  out.number(fullness_);
  std::visit(Overloaded{[&](const FixedCount& fixed) {
                          out.instant(fixed.until);  // the calendar's, whatever clocks show
                          out.number(fixed.count);
                        },
                        [&](const auto& state) { state.save(out, shift); }},
             state_);
}

std::optional<Counter> Counter::load(std::string_view octets, Instant now) {
  PackedReader in(octets);
  if (in.number(kFormat, kFormat) != kFormat) return std::nullopt;
  Counter counter;
  const std::int64_t kind = in.number(0, 4);
  counter.warned_until_ = in.instant(Instant::max());
  counter.visits_ = static_cast<std::uint8_t>(in.number(0, 15));
  counter.fullness_ = static_cast<std::uint8_t>(in.number(0, 15));
  switch (kind) {
    case 0: counter.state_.emplace<Window>().load(in, now); break;
    case 1: counter.state_.emplace<Bucket>().load(in, now); break;
    case 2: {
      auto& fixed = counter.state_.emplace<FixedCount>();
      fixed.until = in.instant(Instant::max());
      fixed.count = in.number(0, PackedReader::kMost);
      break;
    }
    case 3: counter.state_.emplace<DistinctWindow>().load(in, now); break;
    default: counter.state_.emplace<Sighting>().load(in, now); break;
  }
  if (!in.good() || !in.at_end()) return std::nullopt;
  return counter;
}

}  // namespace replygate
