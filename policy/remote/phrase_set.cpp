#include "policy/remote/phrase_set.h"

#include <cstdint>
#include <span>

namespace replygate {
namespace {

constexpr unsigned kFew = 16;  // texts

// Reads an expression of RE2 from the left. What it does not know it says nothing of.
class PieceReader {
 public:
  explicit PieceReader(std::string_view text) : text_(text) {}

  std::string_view read() {
    for (; at_ < text_.size(); ++at_) {
      if (!step(text_[at_])) return "";
    }
    end_run(at_);
    return depth_ == 0 ? longest_ : "";
  }

 private:
  // False: nothing is sure.
  bool step(char c) {
    constexpr std::string_view kSigns = "\\^$.|?*+()[]{}";
    if (kSigns.find(c) == std::string_view::npos) return true;
    // Of what may be missing the last octet is not sure.
    const bool optional = c == '?' || c == '*' || c == '{';
    end_run(optional && at_ > begin_ ? at_ - 1 : at_);
    const bool well = skip(c);
    begin_ = at_ + 1;
    return well;
  }

  // Moves to the last octet of what begins with a sign.
  bool skip(char c) {
    switch (c) {
      case '\\': return skip_escape();
      case '[': return skip_class();
      case '{': return skip_count();
      case '(': ++depth_; return skip_colon();
      case ')': return depth_-- > 0;
      case '|': return depth_ > 0;
      default: return true;
    }
  }

  // Of one octet behind the backslash, or of an octet as \x27.
  bool skip_escape() {
    constexpr std::string_view kKnown = R"(bBdDsSwWAznrt\^$.|?*+()[]{}-/"'@:,;<>=!#%&_~)";
    constexpr std::string_view kDigits = "0123456789abcdefABCDEF";
    if (++at_ >= text_.size()) return false;
    if (text_[at_] != 'x') return kKnown.find(text_[at_]) != std::string_view::npos;
    at_ += 2;
    return at_ < text_.size() && text_.find_first_not_of(kDigits, at_ - 1) > at_;
  }

  bool skip_class() {
    if (text_.substr(at_).starts_with("[^")) ++at_;
    if (text_.substr(at_ + 1).starts_with("]")) ++at_;
    while (++at_ < text_.size() && text_[at_] != ']') {
      if (text_[at_] == '[') return false;  // [:alpha:]
      if (text_[at_] == '\\') ++at_;
    }
    return at_ < text_.size();
  }

  bool skip_count() {
    at_ = text_.find_first_not_of("0123456789,", at_ + 1);
    return at_ != std::string_view::npos && text_[at_] == '}';
  }

  // Of groups only (…) and (?:…).
  bool skip_colon() {
    if (text_.substr(at_).starts_with("(?:")) at_ += 2;
    return !text_.substr(at_).starts_with("(?");
  }

  void end_run(std::size_t end) {
    if (depth_ == 0 && end > begin_ && end - begin_ > longest_.size()) longest_ = text_.substr(begin_, end - begin_);
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t begin_ = 0;  // of octets that stand for themselves
  int depth_ = 0;
  std::string_view longest_;
};

// Also of one: RE2 by itself does not find "(?:черн|чёрн)", as it looks for what both begin with in another character
// set.
std::unique_ptr<re2::RE2::Set> compiled(std::span<const std::string> texts) {
  auto set = std::make_unique<re2::RE2::Set>(status_options(), re2::RE2::UNANCHORED);
  for (const std::string& text : texts) set->Add(text, nullptr);
  set->Compile();
  return set;
}

}  // namespace

std::string_view sure_piece(std::string_view expression) { return PieceReader(expression).read(); }

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
  if (set_ == nullptr && looked_ < kFew) {
    ++looked_;
    return look_one_by_one(text, hits);
  }
  if (set_ == nullptr) {
    set_ = compiled(texts_);
    std::vector<std::unique_ptr<re2::RE2::Set>>().swap(alone_);
    std::vector<std::string>().swap(pieces_);
  }
  set_->Match(text, &found_);
  for (const int index : found_) hits.push_back(indices_[static_cast<std::size_t>(index)]);
  found_.clear();
}

void PhraseSet::look_one_by_one(const std::string& text, std::vector<std::size_t>& hits) {
  alone_.resize(texts_.size());
  while (pieces_.size() < texts_.size()) pieces_.emplace_back(sure_piece(texts_[pieces_.size()]));
  for (std::size_t i = 0; i < texts_.size(); ++i) {
    if (text.find(pieces_[i]) == std::string::npos) continue;
    if (alone_[i] == nullptr) alone_[i] = compiled(std::span(&texts_[i], 1));
    if (alone_[i]->Match(text, &found_)) hits.push_back(indices_[i]);
  }
  found_.clear();
}

}  // namespace replygate
