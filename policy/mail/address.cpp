#include "policy/mail/address.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "policy/mail/domain.h"
#include "policy/mail/subaddress.h"
#include "policy/mail/text.h"
#include "policy/mail/unicode.h"

namespace replygate {
namespace {

// An address taken apart at its last '@' outside quotes. `local` is unquoted.
struct Parts {
  std::string local;
  std::optional<std::string> domain;
};

// RFC 5322 specials that may stand in a local part only within quotes; '@', '.' and '"' are dealt with apart.
bool is_special(char c) { return std::string_view("()<>[]:;,\\").find(c) != std::string_view::npos; }

bool is_blank_or_newline(char c) { return is_blank(c) || c == '\r' || c == '\n'; }

// Reads a path without its angle brackets, octet by octet.
class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  std::optional<Parts> read() {
    while (at_ < text_.size()) {
      if (!step(text_[at_])) return std::nullopt;
    }
    if (!parts_.domain && !local_seen_) return std::nullopt;
    if (parts_.domain && (!local_seen_ || parts_.domain->empty())) return std::nullopt;
    return std::move(parts_);
  }

 private:
  bool step(char c) {
    if (c == '\0') return false;
    if (is_blank_or_newline(c) || c == '(') {
      gap_ = true;
      return c == '(' ? skip_comment() : (++at_, true);
    }
    // Blanks and comments may stand around dots and at the ends (RFC 5322, sections 3.2.2 and 4.4), not between words:
    // MTAs do not read "a b" as "ab".
    const bool joint = c == '.' || c == '@' || last_ == '.' || last_ == '@';
    if (std::exchange(gap_, false) && !joint) return false;
    last_ = c;
    if (parts_.domain) return domain_octet(c);
    if (c == '"') return quoted();
    if (c == '@') return parts_.domain.emplace(), ++at_, true;
    if (c == '\\') return escaped();
    if (is_special(c)) return false;
    return put(c);
  }

  bool put(char c) {
    parts_.local += c;
    local_seen_ = true;
    return ++at_, true;
  }

  bool escaped() { return ++at_ < text_.size() && text_[at_] != '\0' && put(text_[at_]); }

  bool quoted() {
    local_seen_ = true;
    for (++at_; at_ < text_.size() && text_[at_] != '"';) {
      if (text_[at_] == '\0') return false;
      if (!(text_[at_] == '\\' ? escaped() : put(text_[at_]))) return false;
    }
    return at_++ < text_.size();
  }

  bool skip_comment() {
    int depth = 0;
    for (; at_ < text_.size(); ++at_) {
      if (text_[at_] == '\\') {
        ++at_;
      } else if (text_[at_] == '(') {
        ++depth;
      } else if (text_[at_] == ')' && --depth == 0) {
        return ++at_, true;
      }
    }
    return false;
  }

  // A second '@' outside quotes is refused by Sendmail and repaired by Postfix: malformed.
  bool domain_octet(char c) {
    if (c == '@' || c == '"' || c == '<' || c == '>' || c == ';' || c == ',' || c == '\\') return false;
    *parts_.domain += c;
    return ++at_, true;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  Parts parts_;
  bool local_seen_ = false;
  bool gap_ = false;  // a blank or a comment stands before this octet
  char last_ = '@';   // the octet before, apart from those; the ends are joints
};

// The innermost <…> of "Name <a@b>" and "<<a@b>>"; the text itself where there is none.
std::string_view unbracket(std::string_view text) {
  text = trim(text);
  while (text.ends_with('>')) {
    const std::size_t open = text.find('<');
    if (open == std::string_view::npos) break;
    text = trim(text.substr(open + 1, text.size() - open - 2));
  }
  return text;
}

// Drops "@a.example,@b.example:" in front.
std::string_view without_source_route(std::string_view text) {
  if (!text.starts_with('@')) return text;
  const std::size_t colon = text.find(':');
  const std::size_t bracket = text.find('[');
  if (colon == std::string_view::npos || bracket < colon) return text;
  return trim(text.substr(colon + 1));
}

std::string quoted_if_needed(const std::string& local) {
  const bool dot_atom = !local.empty() && local.front() != '.' && local.back() != '.' &&
                        local.find("..") == std::string::npos && std::ranges::none_of(local, [](char c) {
                          return is_special(c) || is_control(c) || c == ' ' || c == '@' || c == '"';
                        });
  if (dot_atom) return local;
  std::string text = "\"";
  for (const char c : local) {
    if (c == '"' || c == '\\') text += '\\';
    text += c;
  }
  return text + '"';
}

// Moves the next hop out of a local part of one of our domains, as MTAs do: a@b, then b!a, then a%b.
bool follow_route(std::string& local, std::string& domain) {
  if (const std::size_t at = local.rfind('@'); at != std::string::npos) {
    domain = local.substr(at + 1);
    local.resize(at);
    return true;
  }
  if (const std::size_t bang = local.find('!'); bang != std::string::npos) {
    domain = local.substr(0, bang);
    local.erase(0, bang + 1);
    return true;
  }
  if (const std::size_t percent = local.rfind('%'); percent != std::string::npos) {
    domain = local.substr(percent + 1);
    local.resize(percent);
    return true;
  }
  return false;
}

// Octets that mean themselves in a local part, on every route: neither specials nor routes of old ('!', '%'), nor
// capital letters.
constexpr OctetSet kPlain("abcdefghijklmnopqrstuvwxyz0123456789-_+=~*^{}|#$&?/'`");

bool is_plain_local(std::string_view local) {
  bool joint = true;  // no dot may come
  for (const char c : local) {
    if (c == '.' ? joint : !kPlain.has(c)) return false;
    joint = c == '.';
  }
  return !joint;
}

// Most addresses: canonical as they stand, apart from brackets. "" for all others.
std::string_view plain_address(std::string_view raw) {
  if (raw.size() > 2 && raw.front() == '<' && raw.back() == '>') raw = raw.substr(1, raw.size() - 2);
  return is_canonical_address(raw) ? raw : std::string_view();
}

Address malformed() { return {.form = Address::Form::malformed, .full = {}, .at = 0, .bare = {}}; }

}  // namespace

bool is_canonical_address(std::string_view text) {
  const std::size_t at = text.find('@');
  return at != std::string_view::npos && is_plain_local(text.substr(0, at)) && is_canonical_name(text.substr(at + 1));
}

Address canonical_address(std::string_view raw, const AddressContext& context) {
  if (const std::string_view plain = plain_address(raw); !plain.empty()) {
    return mailbox_of(std::string(plain), context.subaddress);
  }
  const std::string_view path = unbracket(raw);
  if (path.empty()) return {};
  auto parts = Reader(without_source_route(path)).read();
  if (!parts) return malformed();
  std::string local = std::move(parts->local);
  std::string domain = parts->domain.value_or(std::string(context.default_domain));
  // Each turn shortens the local part, so this ends.
  for (;;) {
    auto canonical = canonical_domain(domain);
    if (!canonical) return malformed();
    domain = *std::move(canonical);
    if (!context.is_local(domain) || !follow_route(local, domain)) break;
  }
  if (local.empty()) return malformed();
  return mailbox_of(quoted_if_needed(folded(local)) + '@' + domain, context.subaddress);
}

Address mailbox_of(std::string full, std::string_view subaddress) {
  Address address{.form = Address::Form::mailbox, .full = std::move(full), .at = 0, .bare = {}};
  address.at = address.full.rfind('@');
  const std::string_view local = address.local();
  if (subaddress.empty() || local.find_first_of(subaddress, 1) == std::string_view::npos) return address;
  std::string bare = without_tag(address.full, subaddress);
  if (bare != address.full) address.bare = std::move(bare);
  return address;
}

Address without_tag(const Address& address) { return address.bare.empty() ? address : mailbox_of(address.bare); }

std::string canonical_login(std::string_view login) {
  const std::size_t at = login.rfind('@');
  if (at == std::string_view::npos) return folded(login);
  const auto domain = canonical_domain(login.substr(at + 1));
  return folded(login.substr(0, at)) + '@' + (domain ? *domain : to_lower(login.substr(at + 1)));
}

}  // namespace replygate
