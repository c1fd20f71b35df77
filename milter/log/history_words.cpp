#include "milter/log/history_words.h"

#include <sodium.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cstring>
#include <optional>

#include "milter/json_members.h"
#include "policy/decide/record_fields.h"
#include "policy/decide/refs.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

namespace json = boost::json;

constexpr std::size_t kLongestWord = detail::kLongestText;
constexpr unsigned kNeighbours = 6;  // bits: 64 of them share a hash

std::uint32_t keyed(std::string_view octets, const WordKey& key) {
  std::array<unsigned char, crypto_shorthash_BYTES> hash{};
  static_assert(std::tuple_size_v<WordKey> == crypto_shorthash_KEYBYTES);
  crypto_shorthash(hash.data(), reinterpret_cast<const unsigned char*>(octets.data()), octets.size(), key.data());
  std::uint32_t first = 0;
  std::memcpy(&first, hash.data(), sizeof first);
  return first;
}

std::uint32_t hash_of_lower(std::string_view word, const WordKey& key) {
  const auto number = References::number_of(word);
  if (!number) return keyed(word, key);
  const std::uint64_t neighbourhood = *number >> kNeighbours;
  std::array<char, sizeof neighbourhood> octets{};
  std::memcpy(octets.data(), &neighbourhood, octets.size());
  return keyed({octets.data(), octets.size()}, key);
}

bool is_in(const json::object& object, std::string_view key, const std::string& word) {
  return equal_ignoring_case(text_at(object, key), word);
}

bool is_record_with(std::string_view line, const std::string& word) {
  boost::system::error_code error;
  const json::value value = json::parse(line, error);
  if (error || !value.is_object()) return false;
  const json::object& record = value.get_object();
  for (const std::string_view key : {"session", "ref", "queue_id", "client_ip", "user", "sender"}) {
    if (is_in(record, key, word)) return true;
  }
  const json::array& recipients = array_at(record, "recipients");
  return std::ranges::any_of(recipients, [&](const json::value& each) {
    const auto has = [&](std::string_view key) { return is_in(each.get_object(), key, word); };
    return each.is_object() && (has("ref") || has("recipient") || has("became"));
  });
}

// As it stands in a record, so that most lines need not be read to know that they are not meant. Nothing: it cannot be
// told without.
std::optional<std::string> as_written(const std::string& word) {
  return detail::stands_as_it_is(word) ? std::optional('"' + to_lower(word) + '"') : std::nullopt;
}

std::string_view last_line(std::string_view text) {
  const std::size_t before = text.size() < 2 ? std::string_view::npos : text.rfind('\n', text.size() - 2);
  return text.substr(before == std::string_view::npos ? 0 : before + 1);
}

// Faster than std::string's where the first character is as frequent as a quote.
std::size_t place_of(std::string_view word, std::string_view text, std::size_t from) {
  const void* at = ::memmem(text.data() + from, text.size() - from, word.data(), word.size());
  return at == nullptr ? std::string_view::npos : static_cast<std::size_t>(static_cast<const char*>(at) - text.data());
}

// Where the lines begin that may be meant, in their order.
std::vector<std::size_t> lines_written_with(std::string_view text, std::string_view written) {
  std::vector<std::size_t> lines;
  const std::string lower = to_lower(text);
  for (std::size_t at = place_of(written, lower, 0); at != std::string::npos;) {
    const std::size_t before = lower.rfind('\n', at);
    lines.push_back(before == std::string::npos ? 0 : before + 1);
    const std::size_t end = lower.find('\n', at);
    at = end == std::string::npos ? end : place_of(written, lower, end);
  }
  return lines;
}

std::vector<std::size_t> all_lines(std::string_view text) {
  std::vector<std::size_t> lines;
  for (; !text.empty(); text.remove_suffix(last_line(text).size())) {
    lines.push_back(text.size() - last_line(text).size());
  }
  std::ranges::reverse(lines);
  return lines;
}

}  // namespace

std::uint32_t hash_of_word(std::string_view word, const WordKey& key) {
  return hash_of_lower(to_lower(word.substr(0, kLongestWord)), key);
}

void append_word(std::string& words, std::string_view word) {
  if (word.empty()) return;
  const auto size = static_cast<std::uint16_t>(std::min(word.size(), kLongestWord));
  const std::size_t at = words.size();
  words.resize(at + sizeof size + size);
  std::memcpy(words.data() + at, &size, sizeof size);
  std::transform(word.begin(), word.begin() + size, words.begin() + static_cast<std::ptrdiff_t>(at + sizeof size),
                 lower);
}

void append_hashes(std::vector<std::uint32_t>& hashes, std::string_view words, const WordKey& key) {
  std::uint16_t size = 0;
  for (; words.size() >= sizeof size; words.remove_prefix(std::min(words.size(), sizeof size + size))) {
    std::memcpy(&size, words.data(), sizeof size);
    hashes.push_back(hash_of_lower(words.substr(sizeof size, size), key));
  }
}

std::vector<std::string> lines_with(std::string_view text, std::string_view word, std::size_t most) {
  const std::string safe = detail::safe_text(word);
  const auto written = as_written(safe);
  const std::vector<std::size_t> lines = written ? lines_written_with(text, *written) : all_lines(text);
  std::vector<std::string> found;
  for (auto it = lines.rbegin(); it != lines.rend() && found.size() < most; ++it) {
    const std::string_view line = text.substr(*it, text.find('\n', *it) - *it);
    if (is_record_with(line, safe)) found.emplace_back(line);
  }
  return found;
}

}  // namespace replygate
