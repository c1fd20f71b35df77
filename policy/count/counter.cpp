#include "policy/count/counter.h"

#include <algorithm>

#include "policy/base/overloaded.h"

namespace replygate {
namespace {

constexpr std::int64_t kFormat = 1;

Reading limit_reading(const Charge& c, std::int64_t used, std::int64_t cost) {
  return {.used = used, .cost = cost, .fits = used + cost <= c.most, .room_at = std::nullopt};
}

bool passes(Sighting::State state) { return state == Sighting::State::passing || state == Sighting::State::known; }

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

bool Counter::has_period_of(const Measure& measure) const {
  const auto same = [](Duration own, Duration asked) { return own == Duration(0) || own == asked; };
  if (const auto* m = std::get_if<Sliding>(&measure)) return same(std::get<Window>(state_).period(), m->period);
  if (const auto* m = std::get_if<Distinct>(&measure)) {
    return same(std::get<DistinctWindow>(state_).period(), m->period);
  }
  return true;
}

Reading Counter::read(const Charge& c, DistinctWindow::Member member, Instant now) const {
  Reading r = std::visit(
      Overloaded{
          [&](const Sliding& m) { return limit_reading(c, std::get<Window>(state_).used(now, m.period), c.cost); },
          [&](const Bucket::Rate& m) { return limit_reading(c, std::get<Bucket>(state_).used(now, m), c.cost); },
          [&](const Fixed&) { return limit_reading(c, std::get<FixedCount>(state_).used(), c.cost); },
          [&](const Distinct&) {
            return limit_reading(c, std::get<DistinctWindow>(state_).used(now), cost_of_member(c, member, now));
          },
          [&](const Greylisting& m) { return Reading{.sighting = std::get<Sighting>(state_).state(now, m)}; }},
      c.measure);
  if (std::holds_alternative<Greylisting>(c.measure)) r.fits = passes(r.sighting);
  if (r.fits) r.room_at = now;
  return r;
}

std::optional<Instant> Counter::room_at(const Charge& c, DistinctWindow::Member member, Instant now) const {
  const std::int64_t most = c.most - c.again;
  using Room = std::optional<Instant>;
  return std::visit(
      Overloaded{
          [&](const Sliding& m) { return std::get<Window>(state_).room_at(c.cost, most, now, m.period); },
          [&](const Bucket::Rate& m) { return std::get<Bucket>(state_).room_at(c.cost, most, now, m); },
          [&](const Fixed& m) { return Room(std::get<FixedCount>(state_).used() + c.cost <= most ? now : m.until); },
          [&](const Distinct&) {
            if (c.cost > 0 && most < 1) return Room();
            const std::int64_t cost = cost_of_member(c, member, now);
            return std::get<DistinctWindow>(state_).room_at(member, cost, most, now);
          },
          [&](const Greylisting& m) {
            const auto& sighting = std::get<Sighting>(state_);
            const Sighting::State state = sighting.state(now, m);
            const Instant first = state == Sighting::State::early ? sighting.first() : now;
            return Room(passes(state) ? now : first + m.delay);
          }},
      c.measure);
}

std::int64_t Counter::cost_of_member(const Charge& c, DistinctWindow::Member member, Instant now) const {
  return c.cost == 0 || std::get<DistinctWindow>(state_).contains(member, now) ? 0 : 1;
}

void Counter::visit(std::int64_t limit, std::int64_t used) {
  visits_ = static_cast<std::uint8_t>(std::min(visits_ + 1, 15));
  const std::int64_t most = std::max<std::int64_t>(limit, 1);
  fullness_ = static_cast<std::uint8_t>(std::min<std::int64_t>(used, most - 1) / std::max<std::int64_t>(most / 16, 1));
  fullness_ = std::min<std::uint8_t>(fullness_, 15);
}

void Counter::add(const Charge& c, DistinctWindow::Member member, Instant now) {
  count(c.measure, c.most, c.cost, member, now);
}

void Counter::count(const Measure& measure, std::int64_t most, std::int64_t cost, DistinctWindow::Member member,
                    Instant now) {
  std::visit(Overloaded{[&](const Sliding& m) {
                          auto& window = std::get<Window>(state_);
                          window.add(cost, now, m.period);
                          visit(most, window.used(now, m.period));
                        },
                        [&](const Bucket::Rate& m) {
                          auto& bucket = std::get<Bucket>(state_);
                          bucket.add(cost, now, m);
                          visit(most, bucket.used(now, m));
                        },
                        [&](const Fixed& m) {
                          auto& fixed = std::get<FixedCount>(state_);
                          fixed.until = m.until;
                          fixed.count += cost;
                          visit(most, fixed.count);
                        },
                        [&](const Distinct& m) {
                          auto& window = std::get<DistinctWindow>(state_);
                          window.add(member, most, now, m.period);
                          visit(m.full > 0 ? m.full : most, window.used(now));
                        },
                        [&](const Greylisting& m) {
                          const auto before = std::get<Sighting>(state_).see(now, m);
                          visit(most, before == Sighting::State::fresh ? 0 : most);
                        }},
             measure);
}

Counter::Reserved Counter::reserve(const Charge& c, DistinctWindow::Member member, Instant now) {
  std::visit(Overloaded{[&](const Sliding&) { std::get<Window>(state_).reserve(c.cost); },
                        [&](const Bucket::Rate&) { std::get<Bucket>(state_).reserve(c.cost); },
                        [&](const Fixed& m) {
                          std::get<FixedCount>(state_).until = m.until;
                          std::get<FixedCount>(state_).reserved += c.cost;
                        },
                        [&](const Distinct& m) { std::get<DistinctWindow>(state_).reserve(member, now, m.period); },
                        [&](const Greylisting& m) { std::get<Sighting>(state_).see(now, m); }},
             c.measure);
  ++reservations_;
  return {.measure = c.measure, .most = c.most, .cost = c.cost, .member = member};
}

void Counter::give_back(const Reserved& reserved, Instant now) {
  --reservations_;
  std::visit(Overloaded{[&](const Sliding&) { std::get<Window>(state_).give_back(reserved.cost); },
                        [&](const Bucket::Rate&) { std::get<Bucket>(state_).give_back(reserved.cost); },
                        [&](const Fixed&) { std::get<FixedCount>(state_).reserved -= reserved.cost; },
                        [&](const Distinct&) { std::get<DistinctWindow>(state_).give_back(reserved.member, now); },
                        [](const Greylisting&) {}},
             reserved.measure);
}

void Counter::keep(const Reserved& reserved, Instant now) {
  count(reserved.measure, reserved.most, reserved.cost, reserved.member, now);
}

bool Counter::warn(const Measure& measure, Instant now) {
  if (now < warned_until_) return false;
  warned_until_ = period_end(measure, now);
  return true;
}

bool Counter::idle(Instant now) const {
  if (reservations_ > 0 || now < warned_until_) return false;
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
