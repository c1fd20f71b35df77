#include "policy/remote/status_index.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "policy/mail/text.h"

namespace replygate {
namespace {

constexpr std::size_t kChapter = 300;  // expressions in one automaton
constexpr std::size_t kMostRemembered = 4096;
constexpr std::size_t kLongestRemembered = 1000;  // octets

bool is_or_is_below(std::string_view host, std::string_view domain) {
  if (host.size() < domain.size()) return false;
  const std::size_t from = host.size() - domain.size();
  return equal_ignoring_case(host.substr(from), domain) && (from == 0 || host[from - 1] == '.');
}

template <typename List, typename Value>
bool has_value(const List& list, const std::optional<Value>& value) {
  return value && std::ranges::find(list, *value) != list.end();
}

bool has_code(const StatusEntry& entry, const RemoteStatus& status) {
  if (!entry.codes.empty() && !has_value(entry.codes, status.code)) return false;
  if (entry.no_enhanced && status.enhanced) return false;
  if (entry.enhanced.empty()) return true;
  return status.enhanced && std::ranges::any_of(entry.enhanced, [&](EnhancedCode code) {
           return (code.severity == 0 || code.severity == status.enhanced->severity) &&
                  code.subject == status.enhanced->subject && code.detail == status.enhanced->detail;
         });
}

template <typename T>
void append_octets(std::string& key, const T& value) {
  const auto number = static_cast<std::uint32_t>(value);
  for (int i = 0; i < 4; ++i) key += static_cast<char>(number >> (8 * i));
}

// Everything that an entry may ask for.
void make_key(std::string& key, const RemoteStatus& status, std::optional<Severity> severity,
              const std::string& folded) {
  key.assign(folded);
  key += '\0';
  append_octets(key, status.code.value_or(0));
  append_octets(key, severity ? static_cast<int>(*severity) : -1);
  append_octets(key, status.at ? static_cast<int>(*status.at) : -1);
  append_octets(key, status.enhanced ? status.enhanced->severity * 1'000'000 + status.enhanced->subject * 1000 +
                                           status.enhanced->detail
                                     : 0);
}

}  // namespace

StatusIndex::StatusIndex(Knowledge knowledge) : knowledge_(std::move(knowledge)) { arrange(); }

void StatusIndex::add(const std::vector<std::string>& some, std::size_t owner, PhraseSet& set) {
  for (const std::string& text : some) {
    set.add(text, texts_.size());
    texts_.push_back(text);
    owner_.push_back(owner);
  }
}

// Owners are the providers, then the entries. Signs are looked for with the first chapter, which is that of providers.
void StatusIndex::arrange() {
  const std::size_t providers = knowledge_.providers.size();
  chapters_.emplace_back();
  for (std::size_t i = 0; i < providers; ++i) add(knowledge_.providers[i].signs, i, chapters_.front().phrases);
  std::vector<std::size_t> order(knowledge_.entries.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, {}, [this](std::size_t i) { return knowledge_.entries[i].ground; });
  for (const std::size_t i : order) {
    if (chapters_.back().phrases.size() >= kChapter) chapters_.emplace_back();
    add(knowledge_.entries[i].phrases, providers + i, chapters_.back().phrases);
    chapters_.back().entries.push_back(i);
  }
  hit_.assign(providers + knowledge_.entries.size(), kNoHit);
  is_shown_.resize(providers);
  is_host_.resize(providers);
  alone_.resize(texts_.size());
}

// Of an owner's expressions that the text has, the first.
void StatusIndex::look_at(Chapter& chapter, const std::string& folded) {
  const std::size_t before = hits_.size();
  chapter.phrases.look_at(folded, hits_);
  for (std::size_t i = before; i < hits_.size(); ++i) {
    std::size_t& hit = hit_[owner_[hits_[i]]];
    hit = std::min(hit, hits_[i]);
  }
}

void StatusIndex::forget_hits() {
  for (const std::size_t text : hits_) hit_[owner_[text]] = kNoHit;
  hits_.clear();
}

std::size_t StatusIndex::hit_of_entry(std::size_t index) const { return hit_[knowledge_.providers.size() + index]; }

// Whose host has answered. Of a host no more than that is asked.
void StatusIndex::mark_hosts(const std::string& host) {
  for (std::size_t i = 0; i < is_host_.size(); ++i) {
    const auto serves = [&](const std::string& domain) { return is_or_is_below(host, domain); };
    is_host_[i] = std::ranges::any_of(knowledge_.providers[i].hosts, serves) ? 1 : 0;
  }
}

bool StatusIndex::holds(std::size_t index, const RemoteStatus& status, std::optional<Severity> severity) const {
  const StatusEntry& entry = knowledge_.entries[index];
  if (!entry.phrases.empty() && hit_of_entry(index) == kNoHit) return false;
  if (entry.ground == Ground::provider && !entry.anywhere && is_shown_[entry.provider] == 0) return false;
  if (!entry.at.empty() && !has_value(entry.at, status.at)) return false;
  return (!entry.severity || severity == entry.severity) && has_code(entry, status);
}

void StatusIndex::mark_stretch(std::size_t index, const std::string& folded, FoundStatus& found) {
  const std::size_t hit = hit_of_entry(index);
  if (hit == kNoHit) return;
  auto& pattern = alone_[hit];
  // On octets RE2 does not find "(?:черн|чёрн)", as it looks for what both begin with in another character set. With an
  // alternative that never matches, they have nothing in common.
  if (!pattern) pattern = std::make_unique<re2::RE2>(fmt::format("(?:{}|\\z.)", texts_[hit]), status_options());
  if (!pattern->ok()) pattern = std::make_unique<re2::RE2>(texts_[hit], status_options());  // it ends within \Q
  re2::StringPiece stretch;
  if (!pattern->Match(folded, 0, folded.size(), re2::RE2::UNANCHORED, &stretch, 1)) return;
  found.begin = static_cast<std::size_t>(stretch.data() - folded.data());
  found.length = stretch.size();
}

FoundStatus StatusIndex::look_up(const RemoteStatus& status, std::optional<Severity> severity,
                                 const std::string& folded) {
  FoundStatus found;
  forget_hits();
  look_at(chapters_.front(), folded);
  for (std::size_t i = 0; i < is_shown_.size(); ++i) {
    is_shown_[i] = is_host_[i] != 0 || hit_[i] != kNoHit ? 1 : 0;
    if (is_shown_[i] != 0 && found.provider == nullptr) found.provider = &knowledge_.providers[i];
  }
  for (Chapter& chapter : chapters_) {
    if (&chapter != &chapters_.front()) look_at(chapter, folded);
    const auto it = std::ranges::find_if(chapter.entries, [&](std::size_t i) { return holds(i, status, severity); });
    if (it == chapter.entries.end()) continue;
    found.entry = &knowledge_.entries[*it];
    if (found.entry->ground == Ground::provider) found.provider = &knowledge_.providers[found.entry->provider];
    mark_stretch(*it, folded, found);
    break;
  }
  return found;
}

FoundStatus StatusIndex::find(const RemoteStatus& status, std::optional<Severity> severity, const std::string& folded) {
  mark_hosts(status.host);
  if (folded.size() > kLongestRemembered) return look_up(status, severity, folded);
  make_key(key_, status, severity, folded);
  key_.append(is_host_.begin(), is_host_.end());
  if (const auto it = remembered_.find(key_); it != remembered_.end()) return it->second;
  if (remembered_.size() >= kMostRemembered) remembered_.clear();
  const FoundStatus found = look_up(status, severity, folded);
  remembered_.emplace(key_, found);
  return found;
}

}  // namespace replygate
