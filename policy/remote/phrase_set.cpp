#include "policy/remote/phrase_set.h"

#include <cstdint>

namespace replygate {

re2::RE2::Options status_options() {
  constexpr std::int64_t kMemory = std::int64_t{32} << 20;  // of the automaton, before it starts anew
  re2::RE2::Options options(re2::RE2::Latin1);
  options.set_log_errors(false);
  options.set_max_mem(kMemory);
  return options;
}

void PhraseSet::add(const std::string& text, std::size_t index) {
  texts_.push_back(text);
  indices_.push_back(index);
}

void PhraseSet::look_at(const std::string& text, std::vector<std::size_t>& hits) {
  if (texts_.empty()) return;
  if (!set_) compile();
  set_->Match(text, &found_);
  for (const int index : found_) hits.push_back(indices_[static_cast<std::size_t>(index)]);
  found_.clear();
}

void PhraseSet::compile() {
  set_ = std::make_unique<re2::RE2::Set>(status_options(), re2::RE2::UNANCHORED);
  for (const std::string& text : texts_) set_->Add(text, nullptr);
  set_->Compile();
}

}  // namespace replygate
