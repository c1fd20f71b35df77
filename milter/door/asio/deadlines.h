#pragma once

#include <boost/intrusive/list.hpp>
#include <chrono>
#include <optional>

namespace replygate {

// What has to happen a fixed time after it was last put off. Putting off costs nothing that grows. One thread.
class Deadlines {
 public:
  using Time = std::chrono::steady_clock::time_point;

  // To be derived from. In one list at most; leaves it when destroyed.
  class Item : public boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
    friend class Deadlines;
    Time due_;
  };

  explicit Deadlines(std::chrono::microseconds after) : after_(after) {}

  // Moves `item` here, from wherever it was, due `after` from now.
  void put_off(Item& item, Time now) {
    item.unlink();
    item.due_ = now + after_;
    items_.push_back(item);
  }

  // The first item that is due, taken out; null where none is.
  Item* take_due(Time now) {
    if (items_.empty() || items_.front().due_ > now) return nullptr;
    Item& item = items_.front();
    item.unlink();
    return &item;
  }

  // Any item, taken out; null where none is left.
  Item* take_any() { return take_due(Time::max()); }

  std::optional<Time> next() const { return items_.empty() ? std::nullopt : std::optional(items_.front().due_); }

 private:
  using Items = boost::intrusive::list<Item, boost::intrusive::constant_time_size<false>>;

  std::chrono::microseconds after_;
  Items items_;
};

}  // namespace replygate
