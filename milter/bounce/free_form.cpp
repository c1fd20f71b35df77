#include "milter/bounce/free_form.h"

#include <algorithm>
#include <array>
#include <string>

#include "milter/bounce/input.h"
#include "policy/mail/text.h"
#include "policy/remote/reply_reader.h"

namespace replygate {
namespace {

constexpr std::size_t kMostRecipients = kMostAttempts;
constexpr std::size_t kMostParagraphs = 200;
constexpr OctetSet kNoAddress(" \t<>()[],;:\"");

// What begins the copy of the message that came back, in lower case.
constexpr std::array<std::string_view, 14> kCopies{"--- below this line is a copy",   "------ this is a copy of",
                                                   "----- original message",          "original message headers",
                                                   "----- message header follows",    "message headers follow",
                                                   "--- the header of the original",  "original message:",
                                                   "----- unsent message follows",    "--- original message follows",
                                                   "------ the body of the message",  "--- returned message",
                                                   "--- undelivered message follows", "received: from "};

bool begins_copy(std::string_view line) {
  const std::string text = to_lower(trim(line.substr(0, 80)));
  return std::ranges::any_of(kCopies, [&](std::string_view copy) { return text.starts_with(copy); });
}

// An address that begins a line and stands alone, or has ':' or ',' and more behind it; "" for other lines.
std::string_view recipient_of(std::string_view line) {
  line = trim(line);
  const bool bracketed = line.starts_with('<');
  if (bracketed) line.remove_prefix(1);
  std::size_t end = 0;
  while (end < line.size() && !kNoAddress.has(line[end])) ++end;
  const std::string_view address = line.substr(0, end);
  const std::size_t at = address.find('@');
  if (at == 0 || at == std::string_view::npos || address.find('.', at) == std::string_view::npos) return "";
  std::string_view rest = line.substr(end);
  if (bracketed && !rest.starts_with('>')) return "";
  if (bracketed) rest.remove_prefix(1);
  return rest.empty() || rest.front() == ':' || rest.front() == ',' || rest.starts_with(" (") ? address : "";
}

struct Paragraph {
  std::vector<std::string> recipients;
  std::string text;
};

// Lines that go with the recipients before them.
std::vector<Paragraph> paragraphs_of(std::string_view text) {
  std::vector<Paragraph> paragraphs(1);
  bool has_text = true;
  std::size_t recipients = 0;
  for (const std::string& line : lines_of(text)) {
    const std::string_view recipient = recipient_of(line);
    if (!recipient.empty() && paragraphs.size() < kMostParagraphs && recipients < kMostRecipients) {
      ++recipients;
      if (has_text) paragraphs.emplace_back();
      paragraphs.back().recipients.emplace_back(recipient);
      const std::size_t after = line.find(recipient) + recipient.size();
      const std::string_view rest = trim(std::string_view(line).substr(after));
      has_text = rest.size() > 2;
      paragraphs.back().text += rest.starts_with('>') ? rest.substr(1) : rest;
      paragraphs.back().text += '\n';
      continue;
    }
    has_text = has_text || !trim(line).empty();
    (paragraphs.back().text += line) += '\n';
  }
  return paragraphs;
}

bool is_transcript(std::string_view text) {
  return text.find("<<< ") != std::string_view::npos || text.find("Transcript of session") != std::string_view::npos;
}

RemoteStatus status_of_paragraph(std::string_view text) {
  return read_status(text, is_transcript(text) ? Lines::replies : Lines::prose);
}

}  // namespace

std::string_view without_returned_message(std::string_view text) {
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    if (begins_copy(text.substr(begin, end - begin))) return text.substr(0, begin);
    begin = end + 1;
  }
  return text;
}

std::vector<RemoteStatus> read_free_form(std::string_view text) {
  text = without_returned_message(text);
  const RemoteStatus whole = status_of_paragraph(text);
  std::vector<RemoteStatus> statuses;
  for (const Paragraph& paragraph : paragraphs_of(text)) {
    if (paragraph.recipients.empty()) continue;
    const RemoteStatus own = status_of_paragraph(paragraph.text);
    const bool tells = own.code || own.enhanced || trim(paragraph.text).size() > 2;
    for (const std::string& recipient : paragraph.recipients) {
      const auto known = std::ranges::find(statuses, recipient, &RemoteStatus::recipient);
      RemoteStatus status = tells ? own : whole;
      status.recipient = recipient;
      if (known == statuses.end()) {
        statuses.push_back(std::move(status));
      } else if (!known->code && own.code) {
        *known = std::move(status);  // reports for people come first, those for administrators behind
      }
    }
  }
  const bool any_reply = std::ranges::any_of(statuses, [](const RemoteStatus& s) { return s.code || s.enhanced; });
  if (statuses.empty() || (!any_reply && whole.code)) {
    if (statuses.empty()) {
      statuses.push_back(whole);
    } else {
      const std::string recipient = statuses.front().recipient;
      statuses.assign(1, whole);
      statuses.front().recipient = recipient;
    }
  }
  return statuses;
}

}  // namespace replygate
