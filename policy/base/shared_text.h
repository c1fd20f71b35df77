#pragma once

#include <compare>
#include <memory>
#include <string>
#include <utility>

namespace replygate {

// A text that many have, such as the name of the file in which they stand: copies share it. Values; any thread.
class SharedText {
 public:
  SharedText() = default;
  SharedText(std::string text) : text_(text.empty() ? nullptr : std::make_shared<const std::string>(std::move(text))) {}
  SharedText(const char* text) : SharedText(std::string(text)) {}

  const std::string& get() const {
    static const std::string kNone;
    return text_ == nullptr ? kNone : *text_;
  }
  operator const std::string&() const { return get(); }
  bool empty() const { return text_ == nullptr; }

  bool operator==(const SharedText& other) const { return get() == other.get(); }
  auto operator<=>(const SharedText& other) const { return get() <=> other.get(); }

 private:
  std::shared_ptr<const std::string> text_;
};

}  // namespace replygate
