#include "milter/serve/note_text.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>

#include "milter/local_time.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

std::string head_of(const Record& record, const LimitUse& use, std::int64_t used) {
  const std::string limit = use.limit.text();
  return fmt::format("Host:   {}\nTime:   {:%Y-%m-%d %H:%M:%S %z}\nKey:    {}\nLimit:  {}: {} of {} used\n",
                     plain_line(host_name()), local_parts(record.time), plain_line(use.key), plain_line(use.rule->name),
                     used, limit);
}

}  // namespace

std::string shell_word(std::string_view key) {
  const bool plain = key.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@.-_+:/=") ==
                     std::string_view::npos;
  if (plain && !key.empty()) return std::string(key);
  std::string word = "'";
  for (const char c : key) word += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return word + '\'';
}

std::string plain_line(std::string_view text) {
  constexpr std::size_t kMost = 300;
  std::string result(text.substr(0, kMost));
  std::ranges::replace_if(result, [](char c) { return c < ' ' || c > '~'; }, '?');
  return result;
}

Note note_of_warning(const Record& record, const LimitUse& use) {
  const std::string key = plain_line(use.key);
  return {.event = {},
          .subject = fmt::format("{} is near its limit of {}", key, plain_line(use.rule->name)),
          .text = head_of(record, use, use.used + use.cost) +
                  fmt::format("\nNothing is refused yet. To see the counters, or to give more room:\n"
                              "  replygate quota show {0}\n  replygate quota raise {0} --times 2 --until 2h\n",
                              shell_word(key))};
}

Note note_of_first_refusal(const Record& record, const LimitUse& full, const Reply& reply) {
  const std::string key = plain_line(full.key);
  const bool local = record.connection.local_submission;
  return {.event = {},
          .subject = fmt::format("{} {} refused by {}", key, local ? "would be" : "is", plain_line(full.rule->name)),
          .text = head_of(record, full, full.used) +
                  fmt::format("{}  {} {} {}\n\nWhat was sent, and to give more room:\n"
                              "  replygate why {}\n  replygate quota raise {} --times 2 --until 2h\n",
                              local ? "Local mail is let through; else the reply would be:" : "Reply:", reply.code(),
                              reply.enhanced().text(), plain_line(reply.text()), shell_word(plain_line(record.ref)),
                              shell_word(key))};
}

Note note_of_held(const Record& record, const Rule& rule) {
  const Transaction& t = record.transaction;
  const std::string sender = plain_line(t.user.empty() ? t.sender.full : t.user);
  const std::string id = shell_word(plain_line(t.queue_id.empty() ? "QUEUE-ID" : t.queue_id));
  return {.event = {},
          .subject = fmt::format("mail of {} is on hold, by {}", sender.empty() ? "<>" : sender, plain_line(rule.name)),
          .text = fmt::format(
              "Host:   {}\nTime:   {:%Y-%m-%d %H:%M:%S %z}\nFrom:   {}\nTo:     {}\nQueue:  {}\nReason: {}\n\n"
              "Nobody is told until you release or delete it. Why, and both in Postfix:\n"
              "  replygate why {}\n  postsuper -H {}\n  postsuper -d {}\n",
              plain_line(host_name()), local_parts(record.time), sender.empty() ? "<>" : sender,
              counted(record.recipients.size(), "recipient"), plain_line(t.queue_id),
              plain_line(record.disposition.hold), shell_word(plain_line(record.ref)), id, id)};
}

Note note_of_store(std::string subject, std::string_view what) {
  return {.event = {},
          .subject = std::move(subject),
          .text = fmt::format("Host:   {}\n\n{}\n\nThe daemon's view of it:\n  replygate status\n",
                              plain_line(host_name()), plain_line(what))};
}

}  // namespace replygate
