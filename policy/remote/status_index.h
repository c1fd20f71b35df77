#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "policy/remote/knowledge.h"
#include "policy/remote/phrase_set.h"
#include "policy/remote/status.h"

namespace replygate {

// What was found for one text.
struct FoundStatus {
  const StatusEntry* entry = nullptr;  // null: nothing holds
  const Provider* provider = nullptr;  // whose server it is, null where nothing shows
  std::size_t begin = 0;               // what the deciding phrase covers
  std::size_t length = 0;
};

// Finds the entry that holds for a status. The answers to recent texts are remembered: most replies of a batch are
// those of few servers. One thread.
class StatusIndex {
 public:
  explicit StatusIndex(Knowledge knowledge);

  // `folded` is the status's text as masked() gives it.
  FoundStatus find(const RemoteStatus& status, std::optional<Severity> severity, const std::string& folded);

  const Knowledge& knowledge() const { return knowledge_; }

 private:
  // Entries that are asked together. One set of all their expressions would have too many states.
  struct Chapter {
    PhraseSet phrases;
    std::vector<std::size_t> entries;
  };
  static constexpr std::size_t kNoHit = static_cast<std::size_t>(-1);

  void add(const std::vector<std::string>& some, std::size_t owner, PhraseSet& set);
  void arrange();
  void look_at(Chapter& chapter, const std::string& folded);
  void forget_hits();
  std::size_t hit_of_entry(std::size_t index) const;
  void mark_hosts(const std::string& host);
  bool holds(std::size_t index, const RemoteStatus& status, std::optional<Severity> severity) const;
  FoundStatus look_up(const RemoteStatus& status, std::optional<Severity> severity, const std::string& folded);
  void mark_stretch(std::size_t index, const std::string& folded, FoundStatus& found);

  Knowledge knowledge_;
  std::vector<Chapter> chapters_;                 // in the order in which they win
  std::vector<std::string> texts_;                // of every expression
  std::vector<std::unique_ptr<re2::RE2>> alone_;  // each by itself, when it decides for the first time
  std::vector<std::size_t> owner_;                // of each text: a provider, or behind them an entry
  std::vector<std::size_t> hits_;                 // texts that the one that is looked at has
  std::vector<std::size_t> hit_;                  // by owner, the first of its texts among them
  std::vector<char> is_host_;                     // the providers, by the host that has answered
  std::vector<char> is_shown_;                    // the providers, by that and by the text
  std::string key_;
  boost::unordered_flat_map<std::string, FoundStatus> remembered_;
};

}  // namespace replygate
