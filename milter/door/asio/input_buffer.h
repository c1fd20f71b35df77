#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

namespace replygate {

// Octets received and not yet used. They are received into room that the connections of a thread share; what is left
// there moves into memory of the connection, which has none of its own while nothing is left.
class InputBuffer {
 public:
  static constexpr std::size_t kLeast = 512;  // octets of room where a packet's size is not known

  std::string_view octets() const { return octets_; }
  bool empty() const { return octets_.empty(); }

  // Room to receive into: `shared`, unless octets are left. `packet`: the size of the packet that begins here, 0 if
  // unknown.
  std::span<char> prepare(std::span<char> shared, std::size_t packet) {
    if (empty()) {
      leave_own();
      octets_ = {shared.data(), 0};
      return shared;
    }
    const std::size_t size = packet > octets_.size() ? packet : octets_.size() + kLeast;
    if (size > capacity_) {
      move_to_own(size);
    } else if (octets_.data() != own_.get()) {
      std::memmove(own_.get(), octets_.data(), octets_.size());
      octets_ = {own_.get(), octets_.size()};
    }
    return {own_.get() + octets_.size(), capacity_ - octets_.size()};
  }

  void received(std::size_t size) { octets_ = {octets_.data(), octets_.size() + size}; }
  void use(std::size_t size) { octets_.remove_prefix(size); }

  // To be called before anybody else receives into the shared room.
  void keep() {
    if (empty()) return leave_own();
    if (own_ == nullptr) move_to_own(octets_.size());
  }
  std::size_t capacity() const { return capacity_; }  // of its own

 private:
  void leave_own() {
    own_.reset();
    capacity_ = 0;
  }

  void move_to_own(std::size_t size) {
    auto moved = std::make_unique_for_overwrite<char[]>(size);
    std::memcpy(moved.get(), octets_.data(), octets_.size());
    own_ = std::move(moved);
    capacity_ = size;
    octets_ = {own_.get(), octets_.size()};
  }

  std::string_view octets_;      // of the shared room, or of its own memory if it has some
  std::unique_ptr<char[]> own_;  // null where it has none
  std::size_t capacity_ = 0;
};

}  // namespace replygate
