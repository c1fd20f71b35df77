#include "milter/log/troubles.h"

#include <fmt/format.h>

#include <utility>

#include "milter/log/say.h"

namespace replygate {

void Troubles::tell(const std::string& of, std::vector<std::string> troubles, Time now) {
  const std::lock_guard lock(mutex_);
  Standing before = std::exchange(of_[of], {});
  for (std::string& what : troubles) {
    if (what.empty()) continue;
    const auto known = before.extract(what);
    if (known.empty()) say(what);
    of_[of].emplace(std::move(what), known.empty() ? now : known.mapped());
  }
  for (const auto& over : before) say(fmt::format("in order again after: {}", over.first));
}

std::vector<Troubles::Trouble> Troubles::all(Time now) const {
  std::vector<Trouble> result;
  const std::lock_guard lock(mutex_);
  for (const auto& [of, standing] : of_) {
    for (const auto& [what, since] : standing) {
      result.push_back({of, what, std::chrono::duration_cast<std::chrono::milliseconds>(now - since)});
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
