#include "policy/remote/counted_things.h"

#include "policy/mail/text.h"

namespace replygate {
namespace {

constexpr std::size_t kLongestWord = 64;
constexpr std::size_t kFarthestStreet = 4;  // words of a street's name, that of its kind included
constexpr OctetSet kEnds(")]>,;:.!?\"'");

constexpr std::string_view kThings =
    "items item units grams gram eur usd gbp chf euro euros dollars pounds francs footnote second seconds pieces pages "
    "bits bit bytes kb mb gb tb kib mib gib people persons lines hours days weeks months years px pixels times minutes "
    "percent degrees km mi miles metres meters feet kg tons litres liters watts volts rooms guests seats chairs "
    "tickets copies orders cars visitors employees participants attendees students children votes views points "
    "books songs houses flats shops stars steps";
// What replies speak of, too: they say "550 users are not known here", and not "550 users were there".
constexpr std::string_view kOfMail = "users mails emails messages recipients members customers accounts subscribers";
constexpr std::string_view kTold = "were who had";
constexpr std::string_view kStreets =
    "street st avenue ave road rd boulevard blvd lane ln drive dr square sq plaza highway hwy court parkway";

// In small letters, without the signs behind it.
std::string plain_word(std::string_view text, WordPlace place) {
  std::string_view word = text.substr(place.begin, place.end - place.begin);
  while (!word.empty() && kEnds.has(word.back())) word.remove_suffix(1);
  return to_lower(word);
}

bool is_in(const std::string& word, std::string_view words) { return !word.empty() && is_one_of(word, words); }

bool is_of_house(std::string_view text, std::size_t after) {
  for (std::size_t i = 0; i < kFarthestStreet; ++i) {
    const WordPlace place = next_word(text, after);
    const std::string_view word = text.substr(place.begin, place.end - place.begin);
    const bool capital = !word.empty() && word.front() >= 'A' && word.front() <= 'Z';
    if (!capital && !(i == 0 && !word.empty() && is_digit(word.front()))) return false;
    if (i > 0 && is_in(plain_word(text, place), kStreets)) return true;
    after = place.end;
  }
  return false;
}

}  // namespace

bool is_gap(char c) { return is_blank(c) || c == '\r' || c == '\n'; }

WordPlace next_word(std::string_view text, std::size_t from) {
  while (from < text.size() && is_gap(text[from])) ++from;
  std::size_t end = from;
  while (end < text.size() && end - from < kLongestWord && !is_gap(text[end])) ++end;
  return {from, end};
}

bool counts_things(std::string_view text, std::size_t after) {
  const WordPlace thing = next_word(text, after);
  if (thing.begin == thing.end) return false;
  if (!is_alpha(text[thing.begin])) return is_digit(text[thing.begin]) && is_of_house(text, after);
  const std::string word = plain_word(text, thing);
  if (is_in(word, kThings)) return true;
  if (is_in(word, kOfMail)) return is_in(plain_word(text, next_word(text, thing.end)), kTold);
  return is_of_house(text, after);
}

}  // namespace replygate
