#include "policy/decide/fetch.h"

#include <atomic>
#include <memory>
#include <utility>

namespace replygate {
namespace {

// Questions under way. Each has a place of its own for its answer; whoever is last goes on.
struct Round {
  Round(Answers& known, std::vector<Answers::Wanted> asked, std::function<void()> behind)
      : answers(known), wanted(std::move(asked)), told(wanted.size()), open(wanted.size()), then(std::move(behind)) {}

  void tell(std::size_t index, LiveAnswer answer) {
    told[index] = std::move(answer);
    if (open.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      answers.tell(*wanted[i].source, std::move(wanted[i].key), std::move(told[i]));
    }
    const std::function<void()> go_on = std::exchange(then, nullptr);
    go_on();
  }

  Answers& answers;
  std::vector<Answers::Wanted> wanted;
  std::vector<LiveAnswer> told;
  std::atomic<std::size_t> open;
  std::function<void()> then;
};

}  // namespace

bool tell_known(Answers& answers, Lookups* lookups) {
  for (const Answers::Wanted& misread : answers.take_misread()) {
    if (lookups != nullptr) lookups->misread(*misread.source, misread.key);
  }
  bool all = true;
  for (Answers::Wanted& wanted : answers.take_wanted()) {
    std::optional<LiveAnswer> answer = LiveAnswer();
    if (lookups != nullptr) answer = lookups->known(*wanted.source, wanted.key);
    if (answer) {
      answers.tell(*wanted.source, std::move(wanted.key), *std::move(answer));
    } else {
      answers.find(*wanted.source, wanted.key);
      all = false;
    }
  }
  return all;
}

void ask_wanted(Answers& answers, Lookups& lookups, std::function<void()> then) {
  const auto round = std::make_shared<Round>(answers, answers.take_wanted(), std::move(then));
  const std::vector<Answers::Wanted> asked = round->wanted;
  for (std::size_t i = 0; i < asked.size(); ++i) {
    lookups.ask(*asked[i].source, asked[i].key, [round, i](LiveAnswer answer) { round->tell(i, std::move(answer)); });
  }
}

}  // namespace replygate
