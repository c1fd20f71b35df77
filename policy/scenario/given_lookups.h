#pragma once

#include "policy/decide/lookups.h"
#include "policy/scenario/scenario.h"

namespace replygate {

// Live sources of a transaction that is played: what it says they know; else what others say; else nothing. One thread.
class GivenLookups final : public Lookups {
 public:
  // `others` may be null, and answer at once.
  explicit GivenLookups(Lookups* others = nullptr) : others_(others) {}

  // Outlives what is played.
  void take(const Given& given) { given_ = &given; }

  std::optional<LiveAnswer> known(const LiveSource& source, std::string_view key) override {
    const bool says = given_ != nullptr && given_->lookups.contains(source.name);
    if (!says) return others_ == nullptr ? LiveAnswer::none() : others_->known(source, key);
    const auto& told = given_->lookups.at(source.name);
    if (!told) return LiveAnswer();
    const auto it = told->find(std::string(key));
    return it == told->end() ? LiveAnswer::none() : LiveAnswer::found(it->second);
  }
  void ask(const LiveSource& source, std::string_view key, Told told) override {
    others_ == nullptr ? told(LiveAnswer::none()) : others_->ask(source, key, std::move(told));
  }
  void misread(const LiveSource& source, std::string_view key) override {
    if (others_ != nullptr) others_->misread(source, key);
  }

 private:
  Lookups* others_;
  const Given* given_ = nullptr;
};

}  // namespace replygate
