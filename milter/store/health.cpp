#include "milter/store/health.h"

#include <fmt/format.h>

#include <utility>

#include "milter/log/say.h"

namespace replygate {

void StoreHealth::failed(const std::string& cause, const std::string& consequence) {
  const std::lock_guard lock(mutex_);
  failed_ = std::chrono::steady_clock::now();
  if (state_.trouble.empty()) since_ = failed_;
  state_.trouble = cause;
  note(cause, consequence);
}

void StoreHealth::noticed(const std::string& cause, const std::string& consequence) {
  const std::lock_guard lock(mutex_);
  note(cause, consequence);
}

void StoreHealth::note(const std::string& cause, const std::string& consequence) {
  const auto now = std::chrono::steady_clock::now();
  ++state_.failures[cause];
  const auto [said, first] = said_.try_emplace(cause, now);
  if (!first && now - said->second < std::chrono::seconds(1)) return;
  said->second = now;
  say(fmt::format("store: {}; {}", cause, consequence));
}

void StoreHealth::recovered() {
  const std::lock_guard lock(mutex_);
  end();
}

void StoreHealth::recovered_from(const std::string& cause) {
  const std::lock_guard lock(mutex_);
  if (state_.trouble == cause) end();
}

void StoreHealth::recovered_if_quiet(std::chrono::seconds quiet) {
  const std::lock_guard lock(mutex_);
  if (std::chrono::steady_clock::now() - failed_ >= quiet) end();
}

void StoreHealth::end() {
  const std::string over = std::exchange(state_.trouble, "");
  const auto now = std::chrono::steady_clock::now();
  if (over.empty() || (ended_ && now - *ended_ < std::chrono::seconds(1))) return;
  ended_ = now;
  say(fmt::format("store: in order again after: {}", over));
}

bool StoreHealth::good() const {
  const std::lock_guard lock(mutex_);
  return state_.trouble.empty();
}

StoreHealth::State StoreHealth::state() const {
  const std::lock_guard lock(mutex_);
  State state = state_;
  if (state.trouble.empty()) return state;
  state.lasting = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - since_);
  return state;
}

}  // namespace replygate
