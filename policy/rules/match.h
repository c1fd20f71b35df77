#pragma once

#include <boost/unordered/unordered_flat_set.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "policy/mail/ip.h"
#include "policy/rules/facts.h"
#include "policy/rules/live_source.h"
#include "policy/rules/packed_texts.h"

namespace re2 {
class RE2;
}

// Predicates on facts. Built once at load, immutable, shared by all threads.
namespace replygate {

// Three-valued: unknown is neither yes nor no.
enum class Truth : std::uint8_t { no, yes, unknown };

struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
};
using TextTable = boost::unordered_flat_set<std::string, TextHash, std::equal_to<>>;

// The patterns of a set, apart by kind; the views are of the set, or of those that it is made of.
struct TextParts {
  std::vector<std::string_view> exact;
  std::vector<std::string_view> trees;
  std::vector<std::string_view> at_domains;
  std::vector<std::string_view> locals;
  std::vector<std::string> globs;
  std::vector<std::string> sources;  // of expressions and globs, as RE2 has them
  std::vector<std::string> samples;  // texts that expressions may match
  bool expressions = false;          // some are among the patterns
};

// A set of patterns for text. Entries, and what is looked for, are given folded, see policy/mail/unicode.h.
class TextSet {
 public:
  TextSet();
  ~TextSet();
  TextSet(TextSet&&) noexcept;
  TextSet& operator=(TextSet&&) noexcept;

  void add_exact(std::string_view text) { exact_.insert(text); }
  // The domain and all below it; for addresses, of their domain part.
  void add_domain_tree(std::string_view domain) { trees_.insert(domain); }
  // Every address of the domain.
  void add_at_domain(std::string_view domain) { at_domains_.insert(domain); }
  // This local part at any domain.
  void add_local(std::string_view local) { locals_.insert(local); }
  // Room for exact texts of so many octets.
  void reserve(std::size_t octets) { exact_.reserve(octets); }
  // RE2 syntax, searched in the text, case ignored. Returns RE2's message where it does not compile.
  // Then `part` is, where RE2 names it, the view of `expression` that is wrong.
  std::optional<std::string> add_regex(std::string_view expression, std::string_view* part = nullptr);
  void add_glob(std::string_view pattern);  // '*' any run, '?' one character, of the whole text
  void add_set(std::shared_ptr<const TextSet> other);

  bool contains(std::string_view lowered) const;
  bool empty() const;

  // Whether it is made of the four tables alone, without expressions and without other sets.
  bool is_list() const { return expressions_.empty() && sets_.empty(); }
  std::size_t entries() const { return exact_.size() + trees_.size() + at_domains_.size() + locals_.size(); }
  const PackedTexts& exact() const { return exact_; }
  const PackedTexts& trees() const { return trees_; }
  const PackedTexts& at_domains() const { return at_domains_; }
  const PackedTexts& locals() const { return locals_; }

  // Adds what it is made of, other sets included.
  void collect(TextParts& parts) const;

 private:
  struct Expression;

  bool contains_parts(std::string_view lowered) const;

  PackedTexts exact_;
  PackedTexts trees_;
  PackedTexts at_domains_;
  PackedTexts locals_;
  std::vector<Expression> expressions_;
  std::vector<std::string> globs_;
  std::vector<std::shared_ptr<const TextSet>> sets_;
};

// Both ends included.
struct NumberRange {
  std::int64_t least = 0;
  std::int64_t most = 0;
  bool inverse = false;  // outside of it
};

// One predicate: what a value must be. An array in the policy is one Matcher: any of its entries.
using Matcher =
    std::variant<bool, std::vector<NumberRange>, std::shared_ptr<const NetworkSet>, std::shared_ptr<const TextSet>>;

Truth matches(const Matcher& matcher, const Value& value);

// A value in the case in which it is compared; the view is of `text` or of `kept`.
std::string_view in_one_case(std::string_view text, std::string& kept);

inline constexpr std::uint32_t kNotKept = 0xffffffffU;

// `fact = pattern` of a rule's when or unless.
struct Condition {
  FactRef fact;
  Matcher matcher;
  std::string source;                    // the pattern as the policy wrote it, for printing
  bool tags = false;                     // the fact may have a tag, and matches without it too
  std::vector<LiveSourcePtr> live = {};  // that may have the value, besides the matcher
  // Its number among those that a message keeps, see KeptTruths. kNotKept: it may change, or costs little.
  std::uint32_t kept_as = kNotKept;
};

// Of repeated header fields, one that matches is enough; of a tagged address, the one without its tag.
Truth holds(const Condition& condition, const Facts& facts);
// All of them hold (Kleene's and; true if empty).
Truth all_hold(const std::vector<Condition>& conditions, const Facts& facts);
// Some of them holds (Kleene's or; false if empty).
Truth any_holds(const std::vector<Condition>& conditions, const Facts& facts);

}  // namespace replygate
