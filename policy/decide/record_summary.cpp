#include "policy/decide/record_summary.h"

#include <fmt/format.h>

#include <algorithm>

namespace replygate {
namespace {

constexpr std::size_t kLongest = 900;
constexpr std::size_t kLongestText = 160;

// A word that cannot end the line, begin another field or hide what follows.
std::string plain(std::string_view text) {
  std::string result;
  for (const char c : text.substr(0, kLongestText)) {
    if (c > ' ' && c < '\x7f' && c != '<' && c != '>' && c != '"') {
      result += c;
    } else {
      result += c == ' ' ? "_" : fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
  if (text.size() > kLongestText) result += "...";
  return result;
}

// Its text, which has no control characters, in quotes that it cannot end.
std::string reply_in_one_line(const Reply& reply) {
  std::string text = reply.text();
  if (text.size() > 2 * kLongestText) text.replace(2 * kLongestText, std::string::npos, "...");
  std::ranges::replace(text, '"', '\'');
  return fmt::format("{} {} \"{}\"", reply.code(), reply.enhanced().text(), text);
}

std::string client_of(const Record& record) {
  return fmt::format("{}[{}]", plain(record.connection.name), record.connection.ip_text);
}

}  // namespace

const Finding* refusal_of(const Record& record, const JudgedRecipient* judged) {
  if (record.connection.local_submission) return nullptr;
  const auto& refusal = judged == nullptr ? record.message.refusal : judged->verdict.refusal;
  return refusal ? &*refusal : nullptr;
}

std::string summary(const Record& record, const JudgedRecipient* judged) {
  const Transaction& t = record.transaction;
  const Finding* refusal = refusal_of(record, judged);
  const bool by_mta = judged != nullptr && judged->recipient.mta_refused;
  if (judged == nullptr && refusal == nullptr) return "";
  std::string line = fmt::format("{}: ", judged == nullptr ? record.ref : std::string_view(judged->ref));
  if (refusal != nullptr) {
    line += fmt::format("refused: {} from {}: {}; rule={} class={} bounce={}", to_string(refusal->rule->stage),
                        client_of(record), reply_in_one_line(refusal->reply), plain(refusal->rule->name),
                        refusal->classification->slug, to_string(bounce_of(refusal->reply.code())));
  } else {
    line += fmt::format("{}: from {};", by_mta ? "mta-refused" : to_string(record.ending), client_of(record));
  }
  const bool malformed = t.sender.form == Address::Form::malformed;
  line += fmt::format(" from=<{}>", plain(malformed ? t.sender_raw : t.sender.full));
  if (judged != nullptr) {
    const Address& to = judged->recipient.address;
    line += fmt::format(" to=<{}>", plain(to.form == Address::Form::mailbox ? to.full : judged->recipient.raw));
  }
  if (!t.user.empty()) line += fmt::format(" user={}", plain(t.user));
  if (!t.queue_id.empty()) line += fmt::format(" queue_id={}", plain(t.queue_id));
  if (line.size() > kLongest) line.resize(kLongest);
  return line;
}

}  // namespace replygate
