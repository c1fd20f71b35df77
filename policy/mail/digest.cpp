#include "policy/mail/digest.h"

#include <fmt/format.h>
#include <sodium.h>

#include <array>

#include "policy/mail/text.h"

namespace replygate {
namespace {

constexpr std::size_t kMostLine = 4096;
constexpr std::size_t kMostField = 8192;
constexpr std::size_t kMostBoundaries = 100;
constexpr std::string_view kBoundary = "boundary";
constexpr std::string_view kPartBegins = "a part\n";  // has a blank, which no line of content has

std::string without_case_and_blanks(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (!is_blank(c) && c != '\r' && c != '\n') result += lower(c);
  }
  return result;
}

// A value of a parameter (RFC 2045 §5.1): a token, or a quoted string.
std::string value_at(std::string_view text) {
  if (!text.starts_with('"')) return std::string(text.substr(0, text.find_first_of("; \t\r\n")));
  std::string value;
  for (std::size_t i = 1; i < text.size() && text[i] != '"'; ++i) {
    if (text[i] == '\\' && i + 1 < text.size()) ++i;
    value += text[i];
  }
  return value;
}

// The parameter `boundary` of a Content-Type; "" for none.
std::string boundary_of(std::string_view content_type) {
  const std::string lowered = to_lower(content_type);
  for (std::size_t at = lowered.find(';'); at != std::string::npos; at = lowered.find(';', at + 1)) {
    const std::size_t name = lowered.find_first_not_of(" \t\r\n", at + 1);
    if (name == std::string::npos || !std::string_view(lowered).substr(name).starts_with(kBoundary)) continue;
    const std::string_view rest = trim(content_type.substr(name + kBoundary.size()));
    if (rest.starts_with('=')) return value_at(trim(rest.substr(1)));
  }
  return "";
}

bool is_content_type(std::string_view name) { return equal_ignoring_case(trim(name), "Content-Type"); }

}  // namespace

struct ContentDigest::Hash {
  crypto_generichash_state state;
};

ContentDigest::ContentDigest() : hash_(std::make_unique<Hash>()) {
  crypto_generichash_init(&hash_->state, nullptr, 0, 16);
}

ContentDigest::~ContentDigest() = default;

void ContentDigest::add(std::string_view text) {
  crypto_generichash_update(&hash_->state, reinterpret_cast<const unsigned char*>(text.data()), text.size());
}

void ContentDigest::header(std::string_view name, std::string_view value) {
  if (is_content_type(name)) declare(value);
  if (equal_ignoring_case(name, "Subject")) subject_ += without_case_and_blanks(value) + '\n';
}

void ContentDigest::declare(std::string_view content_type) {
  std::string boundary = boundary_of(content_type);
  if (!boundary.empty() && boundaries_.size() < kMostBoundaries) boundaries_.insert(std::move(boundary));
}

// The length tells where the subject ends, whatever a body looks like.
void ContentDigest::begin_body() {
  if (in_body_) return;
  in_body_ = true;
  add(fmt::format("{}:{}", subject_.size(), subject_));
}

void ContentDigest::body(std::string_view octets) {
  begin_body();
  for (const char c : octets) {
    if (c == '\n') {
      end_line();
    } else if (line_ += c; line_.size() == kMostLine) {
      add(without_case_and_blanks(line_));
      line_.clear();
      cut_ = true;
    }
  }
}

// "--boundary", or "--boundary--" behind the last part. Behind the others stands the header of a part.
bool ContentDigest::is_boundary() {
  std::string_view name = trim(line_);
  if (cut_ || !name.starts_with("--")) return false;
  name.remove_prefix(2);
  const bool begins = boundaries_.contains(name);
  const bool ends = name.ends_with("--") && boundaries_.contains(name.substr(0, name.size() - 2));
  if (begins || ends) in_part_header_ = begins;
  return begins || ends;
}

void ContentDigest::end_line() {
  const std::string content = without_case_and_blanks(line_);
  if (is_boundary()) {
    end_field();
    add(kPartBegins);
  } else if (in_part_header_ && !cut_) {
    header_line(content.empty());
  } else if (cut_ || !content.empty()) {
    add(content + '\n');
  }
  line_.clear();
  cut_ = false;
}

void ContentDigest::header_line(bool last) {
  if (last) in_part_header_ = false;
  if (last || !is_blank(line_.front())) end_field();
  if (!last && field_.size() < kMostField) field_ += line_;
}

// A boundary that a part declares for parts of its own is as new in each copy as that of the message.
void ContentDigest::end_field() {
  if (field_.empty()) return;
  const std::size_t colon = field_.find(':');
  const bool multipart =
      colon != std::string::npos && is_content_type(field_.substr(0, colon)) && !boundary_of(field_).empty();
  if (multipart) declare(field_);
  const std::string_view content = field_;
  add(without_case_and_blanks(multipart ? content.substr(0, content.find(';')) : content) + '\n');
  field_.clear();
}

std::string ContentDigest::finish() {
  begin_body();
  end_line();
  end_field();
  std::array<unsigned char, 16> hash{};
  crypto_generichash_final(&hash_->state, hash.data(), hash.size());
  std::string text;
  for (const unsigned char octet : hash) text += fmt::format("{:02x}", octet);
  return text;
}

}  // namespace replygate
