#include "tests/oracle/count_rules.h"

#include <algorithm>

namespace replygate::oracle::counts {

bool is_postmaster(const std::string& address) { return address == "postmaster@" + std::string(kLocal); }

bool is_event(What what) { return what == What::refusals || what == What::unknown; }

bool in_session(const Cap& cap) { return cap.over == Over::message || cap.over == Over::session; }

std::int64_t depth(const Cap& cap) { return cap.burst > 0 ? cap.burst : cap.most; }

Point point_of(Part part) {
  if (part == Part::client_ip || part == Part::client_net) return Point::connect;
  if (part == Part::helo) return Point::helo;
  return part == Part::sender || part == Part::user ? Point::mail : Point::rcpt;
}

bool names_recipient(Part part) { return part == Part::recipient || part == Part::recipient_domain; }

namespace {

Point own_point_of(const Rule& rule, const Cap* cap) {
  Point point = rule.at.value_or(Point::connect);
  for (const auto& [part, value] : rule.when) point = std::max(point, point_of(part));
  for (const Part part : rule.per) point = std::max(point, point_of(part));
  if (rule.grey && !rule.at) return std::max(point, Point::rcpt);
  if (cap == nullptr) return point;
  if (is_event(cap->what) && !rule.at) return std::max(point, Point::rcpt);
  if (cap->what == What::messages) return std::max(point, Point::mail);
  if (cap->what == What::recipients || cap->what == What::distinct) return std::max(point, Point::rcpt);
  return cap->what == What::bytes ? std::max(point, Point::message) : point;
}

}  // namespace

// What holds mail is judged as a whole, where the last of its limits is.
Point point_of(const Rule& rule, const Cap* cap) {
  if (!rule.accept || cap == nullptr) return own_point_of(rule, cap);
  Point last = Point::connect;
  const auto note = [&](const std::vector<Cap>& caps) {
    for (const Cap& each : caps) last = std::max(last, own_point_of(rule, &each));
  };
  note(rule.caps);
  for (const auto& [key, own] : rule.own) note(own.caps);
  return last;
}

std::vector<Cap> caps_of(const Rule& rule, const std::string& key) {
  const auto it = rule.own.find(key);
  if (it == rule.own.end()) return rule.caps;
  const Own& own = it->second;
  if (own.all) return {};
  const auto calendar = [](Over over) { return over == Over::day || over == Over::week || over == Over::month; };
  const auto kind = [&](const Cap& cap) { return calendar(cap.over) ? Over::day : cap.over; };
  std::vector<Cap> result;
  for (const Cap& cap : rule.caps) {
    const bool exempt = std::ranges::find(own.exempt, cap.what) != own.exempt.end();
    const bool replaced =
        std::ranges::any_of(own.caps, [&](const Cap& c) { return c.what == cap.what && kind(c) == kind(cap); });
    if (!exempt && !replaced) result.push_back(cap);
  }
  result.insert(result.end(), own.caps.begin(), own.caps.end());
  return result;
}

}  // namespace replygate::oracle::counts
