#include "policy/remote/status_book.h"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>

#include "policy/remote/phrase_set.h"
#include "policy/remote/status_index.h"
#include "policy/remote/wording.h"

namespace replygate {
namespace {

constexpr std::size_t kLongestReply = 4000;

Confidence confidence_of(Ground ground) {
  switch (ground) {
    case Ground::provider: return Confidence::provider;
    case Ground::phrase: return Confidence::phrase;
    case Ground::code: return Confidence::code;
    case Ground::guess: return Confidence::guess;
  }
  return Confidence::none;
}

}  // namespace

std::string_view to_string(Confidence confidence) {
  switch (confidence) {
    case Confidence::code: return "code";
    case Confidence::provider: return "provider";
    case Confidence::phrase: return "phrase";
    case Confidence::guess: return "guess";
    case Confidence::none: return "none";
  }
  return "";
}

namespace {

void say_reason(Explained& result, const StatusEntry& entry) {
  const ReasonInfo& info = info_of(entry.reason);
  result.reason = entry.reason;
  result.confidence = confidence_of(entry.ground);
  result.dead = entry.dead;
  if (!result.dead && (!info.dead || entry.ground != Ground::guess)) result.dead = info.dead;
  result.fault = entry.fault.value_or(info.fault);
  result.source = entry.source;
  for (const std::string& line : entry.advice) result.advice.push_back(line);
  if (entry.advice.empty() || info.dead) result.advice.push_back(info.advice);
}

void say_success(Explained& result) {
  const ReasonInfo& info = info_of(Reason::delivered);
  result.reason = Reason::delivered;
  result.confidence = Confidence::code;
  result.retry = false;
  result.dead = false;
  result.advice.push_back(info.advice);
}

// A sender who is refused says nothing of the recipient.
bool speaks_of_sender(const RemoteStatus& status, const std::string& folded) {
  if (status.at == Command::mail || status.at == Command::helo || status.at == Command::ehlo ||
      status.at == Command::connect)
    return true;
  static const re2::RE2 kSender(
      "\\byour (?:account|domain|mailbox)\\b|\\bsender(?:'s)? (?:verif|domain|mailbox|address|suspended)|external "
      "senders|"
      "\\bverification failed for\\b|\\bsmtp account\\b|\\bmay send from\\b|mail from your\\b",
      status_options());
  return re2::RE2::PartialMatch(folded, kSender);
}

// What is wrong with expressions that no test has looked at.
std::string error_in(const std::vector<std::string>& expressions, bool checked, std::string_view place) {
  if (checked) return "";
  for (const std::string& text : expressions) {
    const re2::RE2 compiled(text, status_options());
    if (!compiled.ok())
      return fmt::format("{}: \"{}\" is no expression that RE2 takes: {}", place, text, compiled.error());
  }
  return "";
}

void say_own_refusal(Explained& result) {
  const ReasonInfo& info = info_of(Reason::own_refusal);
  result.reason = Reason::own_refusal;
  result.confidence = Confidence::code;
  result.retry = result.severity == Severity::transient;
  result.dead = false;
  result.fault = info.fault;
  result.advice.push_back(info.advice);
}

}  // namespace

StatusBook::StatusBook(Knowledge knowledge) : index_(std::make_unique<StatusIndex>(std::move(knowledge))) {}
StatusBook::~StatusBook() = default;
const Knowledge& StatusBook::knowledge() const { return index_->knowledge(); }

tl::expected<std::unique_ptr<StatusBook>, std::string> StatusBook::create(Knowledge knowledge) {
  for (const Provider& provider : knowledge.providers) {
    if (auto error = error_in(provider.signs, provider.checked, provider.name); !error.empty())
      return tl::unexpected(error);
  }
  for (const StatusEntry& entry : knowledge.entries) {
    if (auto error = error_in(entry.phrases, entry.checked, entry.place); !error.empty()) return tl::unexpected(error);
  }
  return std::unique_ptr<StatusBook>(new StatusBook(std::move(knowledge)));
}

Explained StatusBook::explain(const RemoteStatus& status) {
  Explained result;
  const std::string_view text = std::string_view(status.text).substr(0, kLongestReply);
  result.severity = stated_severity(status);
  if (result.severity == Severity::success && !status.reported) {
    say_success(result);
    return result;
  }
  if (status.own) {
    say_own_refusal(result);
    return result;
  }
  const std::string folded = masked(text);
  const FoundStatus found = index_->find(status, result.severity, folded);
  if (found.provider != nullptr) result.provider = found.provider->name;
  if (const StatusEntry* entry = found.entry) {
    say_reason(result, *entry);
    result.matched = text.substr(found.begin, found.length);
    if (!result.severity) {
      const ReasonInfo& info = info_of(entry->reason);
      result.severity = info.dead ? info.usual : worded_severity(folded).value_or(info.usual);
    }
    result.retry = entry->retry;
    if (result.dead == true && speaks_of_sender(status, folded)) result.dead = false;
    // Security and policy: an account that is closed to us may be open to others. Who is unknown is so to everybody.
    const bool known = entry->reason == Reason::mailbox_disabled || result.confidence == Confidence::guess;
    if (result.dead == true && known && status.enhanced && status.enhanced->subject == 7) result.dead = std::nullopt;
  } else {
    result.is_status = result.severity.has_value();
    if (result.severity) result.advice.push_back(info_of(Reason::unspecified).advice);
  }
  if (!result.severity) return result;
  const bool soft = *result.severity == Severity::transient || said_severity(status) == Severity::transient;
  if (soft && result.dead == true) result.dead = std::nullopt;  // it may yet be taken
  if (!result.retry) result.retry = *result.severity == Severity::transient;
  if (*result.retry) result.retry_after_s = delay_in(folded);
  return result;
}

}  // namespace replygate
