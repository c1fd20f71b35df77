#pragma once

#include <functional>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "policy/proof/candidates.h"

namespace replygate {

// The words that conditions on texts are made of, and words that are in none of them. Immutable.
class Vocabulary {
 public:
  explicit Vocabulary(std::span<const Condition* const> conditions);

  // Letters that stand in no pattern.
  const std::string& fresh() const { return fresh_; }

  // For every way in which the lists can tell texts apart a text; then samples of other patterns. `all` becomes false
  // where there are too many.
  std::vector<std::string> texts(bool& all) const;
  // The same of local parts and of domains, and all full addresses that are named.
  std::vector<std::string> locals() const;
  std::vector<std::string> domains() const;
  const std::vector<std::string>& named() const { return named_; }

  bool patterned() const { return patterned_; }

 private:
  static constexpr std::size_t kMostWords = 100000;

  void take(const Condition& condition);
  void take_exact(Fact fact, std::string_view text);
  bool has(const std::string& word) const;

  std::set<std::string> plain_;  // whole texts without '@'
  std::set<std::string> locals_;
  std::set<std::string> domains_;
  std::set<std::string> samples_;
  std::vector<std::string> named_;  // whole texts with '@'
  bool addresses_ = false;          // some pattern looks at an '@'
  bool patterned_ = false;
  std::string fresh_;
};

// The domain that decides whether a glob holds: of "*.example.org", below it, and of "*@example.org"; nothing for
// others.
std::optional<std::string> domain_of_glob(Fact fact, const std::string& glob);

// Whether a session at the site would give the mailbox as it is written here.
bool is_canonical_address(const std::string& text, const Site& site);

// Mailboxes put together from these words, canonical at the site.
Picks addresses(std::span<const Condition* const> conditions, const Site& site,
                const std::function<Signature(const Pick&)>& signature);

}  // namespace replygate
