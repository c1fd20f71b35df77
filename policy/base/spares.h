#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <memory>

namespace replygate {

// Objects that nobody uses at the moment, at most `kMost`, to be used again. It owns them. Any thread; without locks,
// and no thread reads what another may have taken: only whole slots are exchanged.
template <typename T, std::size_t kMost>
class Spares {
 public:
  Spares() = default;
  Spares(const Spares&) = delete;
  Spares& operator=(const Spares&) = delete;
  ~Spares() {
    for (std::atomic<T*>& slot : slots_) delete slot.load();
  }

  // The one that has waited longest. Null where there is none, or another thread was quicker.
  std::unique_ptr<T> take() {
    T* const spare = slots_[taken_.load(std::memory_order_relaxed) % kMost].exchange(nullptr);
    if (spare != nullptr) taken_.fetch_add(1, std::memory_order_relaxed);
    return std::unique_ptr<T>(spare);
  }

  // Deletes it where there is no room.
  void keep(std::unique_ptr<T> spare) {
    // It goes on whatever it meets: it must not wait for a slot that others have passed.
    T* nothing = nullptr;
    std::atomic<T*>& slot = slots_[kept_.fetch_add(1, std::memory_order_relaxed) % kMost];
    if (slot.compare_exchange_strong(nothing, spare.get())) static_cast<void>(spare.release());
  }

 private:
  std::array<std::atomic<T*>, kMost> slots_{};
  std::atomic<std::size_t> taken_{0};
  std::atomic<std::size_t> kept_{0};
};

}  // namespace replygate
