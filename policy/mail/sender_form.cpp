#include "policy/mail/sender_form.h"

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

#include "policy/mail/text.h"

namespace replygate {
namespace {

// An address parted at its '@'; `domain` has the '@', and is "" where there is none.
struct Halves {
  std::string local;
  std::string domain;
};

bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f'); }

// Key number, day and signature; implementations differ in length and alphabet of the signature.
bool is_batv_tag(std::string_view text) {
  return text.size() >= 8 && text.size() <= 12 &&
         std::ranges::all_of(text, [](char c) { return is_digit(c) || is_alpha(c); }) &&
         std::ranges::any_of(text, is_digit);
}

// prvs=TAG=user, prvs=user=TAG, and with the slash of early drafts prvs=user/TAG.
std::optional<std::string> without_prvs(std::string_view local) {
  constexpr std::string_view kPrefix = "prvs=";
  if (!local.starts_with(kPrefix)) return std::nullopt;
  local.remove_prefix(kPrefix.size());
  const std::size_t first = local.find('=');
  if (first != std::string_view::npos && is_batv_tag(local.substr(0, first)) && first + 1 < local.size()) {
    return std::string(local.substr(first + 1));
  }
  const std::size_t last = local.find_last_of("=/");
  if (last == std::string_view::npos || last == 0 || !is_batv_tag(local.substr(last + 1))) return std::nullopt;
  return std::string(local.substr(0, last));
}

// btv1==TAG==user.
std::optional<std::string> without_btv1(std::string_view local) {
  constexpr std::string_view kPrefix = "btv1==";
  if (!local.starts_with(kPrefix)) return std::nullopt;
  local.remove_prefix(kPrefix.size());
  const std::size_t end = local.find("==");
  if (end == std::string_view::npos || end + 2 >= local.size()) return std::nullopt;
  return std::string(local.substr(end + 2));
}

bool is_srs_separator(char c) { return c == '=' || c == '+' || c == '-'; }

// hash=tt=domain=user, of which the user may have '=' in it.
std::optional<Halves> forwarded(std::string_view text) {
  std::array<std::string_view, 3> fields;
  for (std::string_view& field : fields) {
    const std::size_t end = text.find('=');
    if (end == std::string_view::npos || end == 0) return std::nullopt;
    field = text.substr(0, end);
    text.remove_prefix(end + 1);
  }
  if (text.empty()) return std::nullopt;
  return Halves{std::string(text), '@' + std::string(fields[2])};
}

std::optional<Halves> without_srs(std::string_view local) {
  const bool first = local.starts_with("srs0");
  if (local.size() < 6 || (!first && !local.starts_with("srs1")) || !is_srs_separator(local[4])) return std::nullopt;
  local.remove_prefix(5);
  if (first) return forwarded(local);
  // SRS1=hash=first.forwarder=, and behind it what stood behind "SRS0".
  for (int i = 0; i < 2; ++i) {
    const std::size_t end = local.find('=');
    if (end == std::string_view::npos) return std::nullopt;
    local.remove_prefix(end + 1);
  }
  if (local.empty() || !is_srs_separator(local.front())) return std::nullopt;
  return forwarded(local.substr(1));
}

constexpr std::string_view kJoints = "-+=._/";
bool is_joint(char c) { return kJoints.find(c) != std::string_view::npos; }

// Words of a local part with the joint before each of them.
std::vector<std::string_view> words_of(std::string_view local) {
  std::vector<std::string_view> words;
  while (!local.empty()) {
    const std::size_t end = std::min(local.find_first_of(kJoints, 1), local.size());
    words.push_back(local.substr(0, end));
    local.remove_prefix(end);
  }
  return words;
}

std::string_view bare_word(std::string_view word) {
  return !word.empty() && is_joint(word.front()) ? word.substr(1) : word;
}

bool is_bounce_word(std::string_view word) {
  constexpr std::array<std::string_view, 6> kWords = {"bounce", "bounces", "return", "returns", "verp", "errors"};
  return std::ranges::find(kWords, bare_word(word)) != kWords.end();
}

// A number, or the long identifier of one message.
bool is_serial(std::string_view word) {
  word = bare_word(word);
  if (word.empty()) return false;
  if (std::ranges::all_of(word, is_digit)) return true;
  return word.size() >= 12 && std::ranges::all_of(word, is_hex) && std::ranges::any_of(word, is_digit);
}

// Behind the word that names bounces everything may change. Elsewhere a recipient's address, which has a '=' for its
// '@', begins behind a '+', behind a number, or with the word before the '='.
std::string without_verp(std::string_view local) {
  const bool has_recipient = local.find('=') != std::string_view::npos;
  std::string steady;
  std::size_t last_word = 0;
  for (const std::string_view word : words_of(local)) {
    if (has_recipient && word.starts_with('+')) return steady;
    if (has_recipient && word.starts_with('=')) return last_word > 0 ? steady.substr(0, last_word) : steady;
    last_word = steady.size();
    if (is_serial(word)) {
      if (is_joint(word.front())) steady += word.front();
      steady += '#';
      if (has_recipient) return steady;
      continue;
    }
    steady += word;
    if (is_bounce_word(word)) return steady;
  }
  return steady;
}

}  // namespace

std::vector<std::string_view> names_of(SenderForms forms) {
  std::vector<std::string_view> names;
  if ((forms & bit(SenderForm::batv)) != 0) names.emplace_back("batv");
  if ((forms & bit(SenderForm::srs)) != 0) names.emplace_back("srs");
  if ((forms & bit(SenderForm::verp)) != 0) names.emplace_back("verp");
  return names;
}

std::string steady_sender(std::string_view sender, SenderForms forms) {
  const std::size_t at = std::min(sender.rfind('@'), sender.size());
  if (forms == 0 || at == 0 || sender.starts_with('"')) return std::string(sender);
  Halves halves{to_lower(sender.substr(0, at)), std::string(sender.substr(at))};
  if ((forms & bit(SenderForm::srs)) != 0) {
    if (auto original = without_srs(halves.local)) halves = *std::move(original);
  }
  if ((forms & bit(SenderForm::batv)) != 0) {
    if (auto original = without_prvs(halves.local)) halves.local = *std::move(original);
    if (auto original = without_btv1(halves.local)) halves.local = *std::move(original);
  }
  if ((forms & bit(SenderForm::verp)) != 0) halves.local = without_verp(halves.local);
  return halves.local + halves.domain;
}

}  // namespace replygate
