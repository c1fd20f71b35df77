#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

namespace replygate {

// A set of texts that is packed close: the texts stand one behind the other, each behind its length, and a table of
// eight octets a slot says where. A set of few costs two allocations at most, and one of a million little more than its
// texts. Nothing is ever taken out. Once built, any thread may ask. At most 4 GiB of text.
class PackedTexts {
 public:
  class Iterator {
   public:
    using value_type = std::string_view;
    using difference_type = std::ptrdiff_t;
    using iterator_category = std::forward_iterator_tag;

    Iterator() = default;
    Iterator(const std::string* octets, std::size_t at) : octets_(octets), at_(at) {}
    std::string_view operator*() const { return text_at(*octets_, at_); }
    Iterator& operator++();
    Iterator operator++(int);
    bool operator==(const Iterator&) const = default;

   private:
    const std::string* octets_ = nullptr;
    std::size_t at_ = 0;
  };

  void insert(std::string_view text);
  bool contains(std::string_view text) const { return !slots_.empty() && slots_[slot_of(text, hash_of(text))] != 0; }
  // Room for so many octets of texts; only what is used of it costs memory.
  void reserve(std::size_t octets) { octets_.reserve(octets); }

  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  // In the order in which they came.
  Iterator begin() const { return {&octets_, kFirst}; }
  Iterator end() const { return {&octets_, size_ == 0 ? kFirst : octets_.size()}; }

 private:
  static constexpr std::size_t kFirst = 1;  // an offset of 0 is an empty slot

  static std::uint32_t hash_of(std::string_view text) {
    return static_cast<std::uint32_t>(std::hash<std::string_view>{}(text) >> 32U);
  }
  static std::string_view text_at(const std::string& octets, std::size_t at);
  std::size_t home_of(std::uint32_t hash) const { return (std::uint64_t{hash} * slots_.size()) >> 32U; }
  std::size_t slot_of(std::string_view text, std::uint32_t hash) const;
  void grow();
  void append(std::string_view text);

  std::string octets_;
  std::vector<std::uint64_t> slots_;  // the hash in the upper half, the offset in the lower one
  std::size_t size_ = 0;
};

}  // namespace replygate
