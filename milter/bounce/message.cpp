#include "milter/bounce/message.h"

#include <gmime/gmime.h>

#include <algorithm>
#include <array>
#include <memory>

#include "milter/bounce/markup.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

constexpr int kDeepest = 16;  // parts within parts

struct Unref {
  void operator()(void* object) const { g_object_unref(object); }
};
template <typename T>
using Owned = std::unique_ptr<T, Unref>;

struct FreeText {
  void operator()(char* text) const { g_free(text); }
};
using OwnedText = std::unique_ptr<char, FreeText>;

std::string text_or_empty(const char* text) { return text == nullptr ? "" : text; }

std::string header_of(GMimeMessage* message, const char* name) {
  return text_or_empty(g_mime_object_get_header(GMIME_OBJECT(message), name));
}

void start_gmime() {
  static const bool kStarted = [] {
    g_mime_init();
    return true;
  }();
  static_cast<void>(kStarted);
}

// The content of a part without its transfer encoding.
std::string content_of(GMimePart* part) {
  GMimeDataWrapper* content = g_mime_part_get_content(part);
  if (content == nullptr) return "";
  const Owned<GMimeStream> stream(g_mime_stream_mem_new());
  if (g_mime_data_wrapper_write_to_stream(content, stream.get()) < 0) return "";
  GByteArray* octets = g_mime_stream_mem_get_byte_array(GMIME_STREAM_MEM(stream.get()));
  return {reinterpret_cast<const char*>(octets->data), std::min<std::size_t>(octets->len, kMostPartText)};
}

Owned<GMimeMessage> parsed(std::string_view text) {
  const Owned<GMimeStream> stream(g_mime_stream_mem_new_with_buffer(text.data(), text.size()));
  const Owned<GMimeParser> parser(g_mime_parser_new_with_stream(stream.get()));
  return Owned<GMimeMessage>(g_mime_parser_construct_message(parser.get(), nullptr));
}

class PartReader {
 public:
  explicit PartReader(ReadMessage& message) : message_(message) {}

  void read(GMimeObject* object, int depth) {
    if (object == nullptr || depth > kDeepest || message_.parts.size() >= kMostParts) return;
    if (GMIME_IS_MULTIPART(object)) {
      auto* multipart = GMIME_MULTIPART(object);
      const int count = g_mime_multipart_get_count(multipart);
      for (int i = 0; i < count; ++i) read(g_mime_multipart_get_part(multipart, i), depth + 1);
    } else if (GMIME_IS_PART(object)) {
      read_leaf(GMIME_PART(object), depth);
    } else if (GMIME_IS_MESSAGE_PART(object) && !has_report()) {
      read_forwarded(g_mime_message_part_get_message(GMIME_MESSAGE_PART(object)), depth);
    }
  }

 private:
  bool has_report() const {
    return std::ranges::any_of(message_.parts,
                               [](const MessagePart& part) { return part.type.ends_with("delivery-status"); });
  }

  // Base64 and quoted-printable are not allowed for it, and are used all the same.
  void read_encoded(const std::string& text, int depth) {
    const Owned<GMimeMessage> forwarded = parsed(text);
    read_forwarded(forwarded.get(), depth);
  }

  void note_decoded(GMimePart* part) {
    const GMimeContentEncoding encoding = g_mime_part_get_content_encoding(part);
    const bool encoded = encoding == GMIME_CONTENT_ENCODING_BASE64 ||
                         encoding == GMIME_CONTENT_ENCODING_QUOTEDPRINTABLE ||
                         encoding == GMIME_CONTENT_ENCODING_UUENCODE;
    if (encoded && message_.decoded.size() < kMostPartText) message_.decoded += content_of(part) + "\n";
  }

  // Behind a report a message is what came back; without one it may be a report that somebody hands on.
  void read_forwarded(GMimeMessage* forwarded, int depth) {
    GMimeObject* part = forwarded == nullptr ? nullptr : g_mime_message_get_mime_part(forwarded);
    if (part == nullptr) return;
    if (message_.complainer.empty()) message_.complainer = header_of(forwarded, "X-HmXmrOriginalRecipient");
    GMimeContentType* type = g_mime_object_get_content_type(part);
    if (type != nullptr && g_mime_content_type_is_type(type, "multipart", "report")) read(part, depth + 1);
  }

  void read_leaf(GMimePart* leaf, int depth) {
    GMimeContentType* type = g_mime_object_get_content_type(GMIME_OBJECT(leaf));
    const OwnedText name(g_mime_content_type_get_mime_type(type));
    MessagePart part{to_lower(text_or_empty(name.get())), ""};
    const bool header = part.type.ends_with("/rfc822-headers") || part.type == "message/global-headers";
    const bool message = part.type == "message/rfc822" || part.type == "message/global";
    if (header || part.type.starts_with("message/")) note_decoded(leaf);
    if (header) return;
    if (message) {
      if (!has_report()) read_encoded(content_of(leaf), depth);
      return;
    }
    if (GMIME_IS_TEXT_PART(leaf)) {
      const OwnedText text(g_mime_text_part_get_text(GMIME_TEXT_PART(leaf)));
      part.text = text_or_empty(text.get()).substr(0, kMostPartText);
      if (part.type == "text/html") part.text = without_markup(part.text);
    } else if (part.type.starts_with("message/")) {
      part.text = content_of(leaf);
    } else {
      return;
    }
    message_.parts.push_back(std::move(part));
  }

  ReadMessage& message_;
};

}  // namespace

bool looks_like_message(std::string_view text) {
  constexpr std::array<std::string_view, 12> kFields{"from",
                                                     "to",
                                                     "subject",
                                                     "date",
                                                     "received",
                                                     "return-path",
                                                     "message-id",
                                                     "mime-version",
                                                     "content-type",
                                                     "delivered-to",
                                                     "x-failed-recipients",
                                                     "auto-submitted"};
  if (text.starts_with("From ")) text.remove_prefix(std::min(text.size(), text.find('\n') + 1));
  int known = 0;
  while (!text.empty() && known < 2) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(text.size(), end + 1));
    if (is_blank(line.empty() ? 'x' : line.front())) continue;
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || colon == 0 || line.substr(0, colon).find(' ') != std::string_view::npos)
      return false;
    if (std::ranges::any_of(kFields, [&](std::string_view f) { return equal_ignoring_case(f, line.substr(0, colon)); }))
      ++known;
  }
  return known >= 2;
}

ReadMessage read_message(std::string_view text) {
  start_gmime();
  if (text.starts_with("From ")) text.remove_prefix(std::min(text.size(), text.find('\n') + 1));
  ReadMessage result;
  const Owned<GMimeMessage> message = parsed(text);
  if (message == nullptr) return result;
  result.from = header_of(message.get(), "From");
  result.subject = text_or_empty(g_mime_message_get_subject(message.get()));
  result.failed_recipients = header_of(message.get(), "X-Failed-Recipients");
  result.from_nobody = trim(header_of(message.get(), "Return-Path")) == "<>";
  result.from_list =
      !header_of(message.get(), "List-Id").empty() || !header_of(message.get(), "List-Unsubscribe").empty();
  result.replied_by_itself = to_lower(header_of(message.get(), "Auto-Submitted")).starts_with("auto-replied");
  PartReader(result).read(g_mime_message_get_mime_part(message.get()), 0);
  return result;
}

}  // namespace replygate
