#include "policy/digest.h"

#include <fmt/format.h>
#include <sodium.h>

#include <array>

#include "policy/mail/text.h"

namespace replygate {
namespace {

constexpr std::size_t kMostLine = 4096;

bool is_boundary(std::string_view line) {
  return line.starts_with("--") || line.find("boundary=") != std::string_view::npos;
}

}  // namespace

struct ContentDigest::Hash {
  crypto_generichash_state state;
};

ContentDigest::ContentDigest() : hash_(std::make_unique<Hash>()) {
  crypto_generichash_init(&hash_->state, nullptr, 0, 16);
}

ContentDigest::~ContentDigest() = default;

void ContentDigest::header(std::string_view name, std::string_view value) {
  if (!equal_ignoring_case(name, "Subject")) return;
  body(value);
  body("\n");
}

void ContentDigest::body(std::string_view octets) {
  for (const char c : octets) {
    if (c == '\n') {
      end_line();
    } else if (!is_blank(c) && c != '\r') {
      line_ += lower(c);
      if (line_.size() == kMostLine) end_line();
    }
  }
}

void ContentDigest::end_line() {
  if (!line_.empty() && !is_boundary(line_)) {
    line_ += '\n';
    crypto_generichash_update(&hash_->state, reinterpret_cast<const unsigned char*>(line_.data()), line_.size());
  }
  line_.clear();
}

std::string ContentDigest::finish() {
  end_line();
  std::array<unsigned char, 16> hash{};
  crypto_generichash_final(&hash_->state, hash.data(), hash.size());
  std::string text;
  for (const unsigned char octet : hash) text += fmt::format("{:02x}", octet);
  return text;
}

}  // namespace replygate
