#include "milter/log/troubles.h"

#include <fmt/format.h>

#include <utility>

#include "milter/log/say.h"

namespace replygate {
namespace {

constexpr std::chrono::seconds kPause{10};

}  // namespace

void Troubles::tell(const std::string& of, std::vector<std::string> troubles, Time now) {
  const std::lock_guard lock(mutex_);
  Standing before = std::exchange(of_[of], {});
  for (std::string& what : troubles) {
    if (what.empty()) continue;
    auto known = before.extract(what);
    const Begin begin = known.empty() ? Begin{now, may_say(what, now)} : known.mapped();
    if (known.empty() && begin.said) say(what);
    of_[of].emplace(std::move(what), begin);
  }
  for (const auto& [what, begin] : before) {
    if (begin.said) say(fmt::format("in order again after: {}", what));
  }
}

bool Troubles::may_say(const std::string& what, Time now) {
  std::erase_if(said_, [&](const auto& item) { return now - item.second >= kPause; });
  return said_.try_emplace(what, now).second;
}

std::vector<Troubles::Trouble> Troubles::all(Time now) const {
  std::vector<Trouble> result;
  const std::lock_guard lock(mutex_);
  for (const auto& [of, standing] : of_) {
    for (const auto& [what, begin] : standing) {
      result.push_back({of, what, std::chrono::duration_cast<std::chrono::milliseconds>(now - begin.since)});
    }
  }
  return result;
}

std::map<std::string, std::size_t> Troubles::counts() const {
  std::map<std::string, std::size_t> result;
  const std::lock_guard lock(mutex_);
  for (const auto& [of, standing] : of_) result.emplace(of, standing.size());
  return result;
}

}  // namespace replygate
