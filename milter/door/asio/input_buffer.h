#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>

namespace replygate {

// Octets received and not yet used. Small while idle; grows to the packet that is coming, and while much comes.
class InputBuffer {
 public:
  static constexpr std::size_t kSmall = 512;
  static constexpr std::size_t kBusy = std::size_t{4} << 10;

  std::string_view octets() const { return {data_.get() + begin_, end_ - begin_}; }
  bool empty() const { return begin_ == end_; }

  // Room to receive into. `packet`: the size of the packet that begins here, 0 if unknown.
  std::span<char> prepare(std::size_t packet) {
    const std::size_t size = std::max({kSmall, packet, filled_ ? std::min(capacity_ * 4, kBusy) : 0});
    if (empty() ? size != capacity_ : size > capacity_) {
      resize(size);
    } else if (begin_ > 0) {
      std::memmove(data_.get(), data_.get() + begin_, end_ - begin_);
      end_ -= begin_;
      begin_ = 0;
    }
    return {data_.get() + end_, capacity_ - end_};
  }

  // Nothing will be received for a while.
  void trim() { resize(end_ - begin_); }

  void received(std::size_t size) {
    end_ += size;
    filled_ = end_ == capacity_;
  }
  void use(std::size_t size) { begin_ += size; }
  std::size_t capacity() const { return capacity_; }

 private:
  void resize(std::size_t size) {
    const std::size_t held = end_ - begin_;
    auto data = std::make_unique_for_overwrite<char[]>(size);
    if (held > 0) std::memcpy(data.get(), data_.get() + begin_, held);
    data_ = std::move(data);
    capacity_ = size;
    begin_ = 0;
    end_ = held;
  }

  std::unique_ptr<char[]> data_;
  std::size_t capacity_ = 0;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  bool filled_ = false;  // the last receive used all the room: more is waiting
};

}  // namespace replygate
