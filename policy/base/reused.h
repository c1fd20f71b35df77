#pragma once

#include <cstddef>
#include <vector>

namespace replygate {

// A vector whose items keep their memory when it is cleared: the next one in their place is what was there before, to
// be written over.
template <typename T>
class Reused {
 public:
  // The next item, in the state that somebody has left it in.
  T& next() {
    if (size_ == items_.size()) items_.emplace_back();
    return items_[size_++];
  }
  void push_back(const T& item) { next() = item; }
  void pop_back() { --size_; }
  void clear() { size_ = 0; }

  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  T& operator[](std::size_t i) { return items_[i]; }
  const T& operator[](std::size_t i) const { return items_[i]; }
  const T& back() const { return items_[size_ - 1]; }
  auto begin() const { return items_.begin(); }
  auto end() const { return items_.begin() + static_cast<std::ptrdiff_t>(size_); }

 private:
  std::vector<T> items_;
  std::size_t size_ = 0;
};

}  // namespace replygate
