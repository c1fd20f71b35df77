#pragma once

#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "milter/lookup/answer_cache.h"
#include "milter/lookup/live_backend.h"
#include "policy/decide/lookups.h"

namespace replygate {

// One source: its answers, and who waits for which. All but cache() on the loop alone.
class AskedSource : public std::enable_shared_from_this<AskedSource> {
 public:
  // `changed` is called whenever trouble() is another one.
  AskedSource(boost::asio::io_context& loop, LiveSource source, std::function<void()> changed);

  AnswerCache& cache() { return cache_; }

  // `told` hears of it within the timeout of the source.
  void ask(const std::string& key, Lookups::Told told);
  void misread(const std::string& key);
  // What is wrong with it, for people; "": nothing.
  std::string trouble() const;
  // Nothing is known any more, and nothing asked.
  void end();

 private:
  struct Open {
    std::vector<Lookups::Told> waiting;
    std::unique_ptr<boost::asio::steady_timer> deadline;
    std::uint64_t answers = 0;  // that had come when it was asked
  };

  void begin(const std::string& key, Lookups::Told told);
  void conclude(const std::string& key, const LiveAnswer& told, const LiveBackend::Failure& failure);
  void give_up(const std::string& key);
  void tell();
  void note_back(const std::string& key);
  void note_refusal(std::string why);
  void note_gone(const std::string& key, const std::string& why);

  const LiveSource source_;
  const std::function<void()> changed_;
  boost::asio::io_context& loop_;
  boost::asio::steady_timer probe_;
  AnswerCache cache_;
  std::unique_ptr<LiveBackend> backend_;
  std::map<std::string, Open> open_;
  std::string gone_;     // why it could not be asked last; "": it could
  std::string failed_;   // the key that it was asked then
  std::string probing_;  // the key to find out by whether it is back: the last that it answered, if there is one
  std::uint64_t answers_ = 0;
  bool tried_ = false;   // since then, by a decision that waits for it
  std::string refused_;  // why it could not answer some question, or was not understood
  std::string told_;     // of trouble()
  bool ended_ = false;
};

}  // namespace replygate
