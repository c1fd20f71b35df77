#define SD_JOURNAL_SUPPRESS_LOCATION
#include "milter/log/journal.h"

#include <fmt/format.h>
#include <sys/uio.h>
#include <syslog.h>
#include <systemd/sd-journal.h>

#include <algorithm>

#include "policy/decide/record_summary.h"

namespace replygate {
namespace {

std::string one_line(std::string_view text) {
  std::string line(text);
  std::ranges::replace_if(line, [](char c) { return static_cast<unsigned char>(c) < ' '; }, '?');
  return line;
}

class Fields {
 public:
  void add(std::string_view name, std::string_view value) {
    if (!value.empty()) text_ += fmt::format("{}={}\n", name, one_line(value));
  }
  std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

std::vector<iovec> split(const std::string& entry) {
  std::vector<iovec> fields;
  for (std::size_t begin = 0; begin < entry.size();) {
    const std::size_t end = std::min(entry.find('\n', begin), entry.size());
    fields.push_back({.iov_base = const_cast<char*>(entry.data() + begin), .iov_len = end - begin});
    begin = end + 1;
  }
  return fields;
}

}  // namespace

std::string Journal::entry(Rendering& rendering, const JudgedRecipient* judged) {
  const Record& r = rendering.record();
  const Finding* refusal = refusal_of(r, judged);
  const std::string_view ref = judged == nullptr ? r.ref : std::string_view(judged->ref);
  std::string message = summary(r, judged);
  if (message.empty()) message = fmt::format("{}: {}", ref, to_string(r.ending));
  Fields f;
  f.add("MESSAGE", message);
  f.add("PRIORITY", std::to_string(refusal != nullptr ? LOG_NOTICE : LOG_INFO));
  f.add("SYSLOG_FACILITY", std::to_string(LOG_FAC(LOG_MAIL)));
  f.add("SYSLOG_IDENTIFIER", "replygate");
  f.add("REPLYGATE_REF", ref);
  f.add("REPLYGATE_SESSION", r.session);
  f.add("REPLYGATE_POLICY", r.policy->id());
  f.add("REPLYGATE_QUEUE_ID", r.transaction.queue_id);
  f.add("REPLYGATE_OUTCOME", to_string(r.ending));
  f.add("REPLYGATE_CLIENT_IP", r.connection.ip_text);
  f.add("REPLYGATE_CLIENT_NAME", r.connection.name);
  f.add("REPLYGATE_USER", r.transaction.user);
  f.add("REPLYGATE_SENDER", r.transaction.sender.full);
  if (judged != nullptr) f.add("REPLYGATE_RECIPIENT", judged->recipient.address.full);
  if (refusal != nullptr) {
    f.add("REPLYGATE_CODE", std::to_string(refusal->reply.code()));
    f.add("REPLYGATE_ENHANCED", refusal->reply.enhanced().text());
    f.add("REPLYGATE_RULE", refusal->rule->name);
    f.add("REPLYGATE_CLASS", refusal->classification->slug);
    f.add("REPLYGATE_BOUNCE", to_string(bounce_of(refusal->reply.code())));
  }
  const bool first = judged == nullptr || judged == r.recipients.data();
  if (first) f.add("REPLYGATE_RECORD", std::string_view(rendering.json()).substr(0, rendering.json().size() - 1));
  return f.take();
}

void Journal::hear(Rendering& rendering) {
  const Record& r = rendering.record();
  if (r.recipients.empty() || refusal_of(r, nullptr) != nullptr) backlog_.add(entry(rendering, nullptr));
  for (const JudgedRecipient& judged : r.recipients) backlog_.add(entry(rendering, &judged));
}

// Without a journal its library says that all went well.
bool Journal::deliver(const Backlog::Entries& entries) const {
  bool good = trouble().empty();
  for (const std::string& entry : entries) {
    const std::vector<iovec> fields = split(entry);
    good &= sd_journal_sendv(fields.data(), static_cast<int>(fields.size())) == 0;
  }
  return good;
}

}  // namespace replygate
