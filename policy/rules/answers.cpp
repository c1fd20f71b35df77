#include "policy/rules/answers.h"

#include <algorithm>

namespace replygate {
namespace {

template <typename Entries>
auto find_entry(Entries& entries, const LiveSource& source, std::string_view key) {
  return std::ranges::find_if(entries, [&](const auto& e) { return e.source == &source && e.key == key; });
}

}  // namespace

const LiveAnswer* Answers::find(const LiveSource& source, std::string_view key) {
  if (const auto it = find_entry(told_, source, key); it != told_.end()) return &it->answer;
  if (find_entry(wanted_, source, key) == wanted_.end()) wanted_.push_back({&source, std::string(key)});
  return nullptr;
}

void Answers::tell(const LiveSource& source, std::string key, LiveAnswer answer) {
  told_.push_back({&source, std::move(key), std::move(answer)});
}

void Answers::misread(const LiveSource& source, std::string_view key) {
  const auto it = find_entry(told_, source, key);
  if (it != told_.end()) it->answer = {};
  misread_.push_back({&source, std::string(key)});
}

}  // namespace replygate
