#include "milter/store/redis_script.h"

#include <fmt/format.h>
#include <openssl/sha.h>

#include <array>

#include "milter/store/redis_script_text.h"
#include "policy/base/overloaded.h"

namespace replygate::redis {
namespace {

constexpr std::size_t kFields = 7;  // of a reading

std::string count(Duration span) { return std::to_string(span.count()); }

}  // namespace

std::string_view script() { return kScriptText; }

std::string script_id() {
  std::array<unsigned char, SHA_DIGEST_LENGTH> hash{};
  SHA1(reinterpret_cast<const unsigned char*>(kScriptText.data()), kScriptText.size(), hash.data());
  std::string text;
  for (const unsigned char octet : hash) text += fmt::format("{:02x}", octet);
  return text;
}

std::string key_of(std::string_view prefix, std::string_view counter) {
  return fmt::format("{{{}}}:{}", prefix, counter);
}

std::vector<std::string> words_of(const Charge& c) {
  using Words = std::array<std::string, 5>;
  auto [measure, a, b, d, e] = std::visit(
      Overloaded{
          [](const Sliding& m) { return Words{"window", count(m.period), "0", "0", "0"}; },
          [](const Bucket::Rate& m) { return Words{"bucket", count(m.period), std::to_string(m.most), "0", "0"}; },
          [](const Fixed& m) { return Words{"fixed", count(m.until.time_since_epoch()), "0", "0", "0"}; },
          [](const Distinct& m) { return Words{"distinct", count(m.period), "0", "0", "0"}; },
          [](const Greylisting& m) {
            return Words{"greylist", count(m.delay), count(m.retry_within), count(m.remember), "0"};
          }},
      c.measure);
  const int flags = (c.even_if_full ? 1 : 0) + (c.reserve ? 2 : 0) + (c.pardoned ? 4 : 0);
  return {measure,
          a,
          b,
          d,
          e,
          std::to_string(c.most),
          std::to_string(c.cost),
          std::to_string(c.group),
          std::to_string(flags),
          std::to_string(c.warn_at),
          std::to_string(c.again),
          c.member};
}

std::optional<Taking> read_taking(const redisReply& reply, std::size_t charges, Instant now) {
  if (reply.type != REDIS_REPLY_ARRAY || reply.elements != charges + 1) return std::nullopt;
  const std::int64_t server = reply.element[0]->integer;
  Taking result;
  for (std::size_t i = 1; i < reply.elements; ++i) {
    const redisReply& row = *reply.element[i];
    if (row.type != REDIS_REPLY_ARRAY || row.elements != kFields) return std::nullopt;
    std::array<std::int64_t, kFields> v{};
    for (std::size_t k = 0; k < kFields; ++k) {
      if (row.element[k]->type != REDIS_REPLY_INTEGER) return std::nullopt;
      v[k] = row.element[k]->integer;
    }
    Reading reading{.used = v[0], .cost = v[1], .fits = v[2] == 1, .room_at = std::nullopt, .warn = v[4] == 1};
    if (v[3] >= 0) reading.room_at = now + Duration(v[3] - server);
    if (v[5] < 0 || v[5] > 3) return std::nullopt;
    reading.sighting = static_cast<Sighting::State>(v[5]);
    result.readings.emplace_back(reading);
    result.renamed.push_back(v[6] == 1);
  }
  return result;
}

}  // namespace replygate::redis
