#include "milter/cli/explained.h"

#include <fmt/format.h>

#include <algorithm>

#include "milter/cli/explain_code.h"
#include "milter/cli/table.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

// The text with the words that decided between "»" and "«".
std::string marked_text(const RemoteStatus& status, std::string_view matched) {
  if (matched.empty()) return without_controls(status.text);
  const std::size_t begin = static_cast<std::size_t>(matched.data() - status.text.data());
  return fmt::format("{}»{}«{}", without_controls(status.text.substr(0, begin)), without_controls(std::string(matched)),
                     without_controls(status.text.substr(begin + matched.size())));
}

std::string_view in_words(std::optional<bool> answer) {
  if (!answer) return "not known";
  return *answer ? "yes" : "no";
}

std::string in_words(const Explained& explained) {
  if (explained.retry_after_s) return fmt::format("yes, in {} seconds", *explained.retry_after_s);
  return std::string(in_words(explained.retry));
}

constexpr std::size_t kIndentOfExplained = 12;

void explained_line(std::string_view head, std::string_view text) {
  fmt::print("{}", labelled(head, kIndentOfExplained, text));
}

void print_reason(const Explained& explained) {
  const ReasonInfo& info = info_of(explained.reason);
  if (explained.confidence == Confidence::none) {
    explained_line("reason", "not known: neither the code nor the wording tells");
    return;
  }
  explained_line("reason", fmt::format("{}: {}", info.slug, info.meaning));
  explained_line("known by", fmt::format("{}{}{}", to_string(explained.confidence),
                                         explained.source.empty() ? "" : ", ", explained.source));
}

void print_catalogue(const RemoteStatus& status, std::optional<Command> at) {
  if (status.code && status.enhanced && status.enhanced->severity != *status.code / 100) {
    fmt::print("\nThe code and the enhanced code contradict each other; senders go by the code, {}.\n", *status.code);
  }
  if (status.code) {
    fmt::print("\n");
    if (const ReplyCode* code = find_reply_code(*status.code)) {
      print_code(*code, at);
    } else {
      fmt::print("{}  not a known code; the first digit says: {}\n", *status.code,
                 to_string(severity_of(*status.code)));
    }
  }
  if (status.enhanced) {
    fmt::print("\n");
    print_enhanced(*status.enhanced);
  }
}

// The reference in the text of a reply, the queue id, or the recipient.
std::string asked_for(const RemoteStatus& status) {
  constexpr std::string_view kMark = "ref=";
  const std::size_t at = status.text.find(kMark);
  if (at != std::string::npos) {
    const std::size_t begin = at + kMark.size();
    return status.text.substr(begin, status.text.find_first_of(" ;,)]", begin) - begin);
  }
  return status.id.empty() || status.id == "NOQUEUE" ? status.recipient : status.id;
}

}  // namespace

std::string advice_line(std::string_view advice, const RemoteStatus& status) {
  constexpr std::string_view kPlace = "REF`";
  std::string line(advice);
  const std::size_t at = line.find(kPlace);
  const std::string word = asked_for(status);
  const bool plain = !word.empty() && std::ranges::all_of(word, [](char c) {
    return is_digit(c) || is_alpha(c) || c == '@' || c == '.' || c == '-' || c == '_' || c == '+';
  });
  return at == std::string::npos || !plain ? line : line.replace(at, kPlace.size() - 1, word);
}

void print(const RemoteStatus& status, const Explained& explained, std::optional<Command> at) {
  if (!status.recipient.empty()) explained_line("recipient", without_controls(status.recipient));
  if (!status.host.empty()) explained_line("host", without_controls(status.host));
  if (!explained.provider.empty()) explained_line("provider", explained.provider);
  if (!status.text.empty()) explained_line("text", marked_text(status, explained.matched));
  print_reason(explained);
  explained_line("severity", explained.severity ? to_string(*explained.severity) : "not known");
  explained_line("retry", in_words(explained));
  explained_line("dead", in_words(explained.dead));
  explained_line("fault", to_string(explained.fault));
  for (const std::string_view line : explained.advice) explained_line("do", advice_line(line, status));
  print_catalogue(status, at);
}

}  // namespace replygate
