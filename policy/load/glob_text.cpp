#include "policy/load/glob_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "policy/mail/domain.h"
#include "policy/mail/text.h"
#include "policy/mail/unicode.h"

namespace replygate {
namespace {

constexpr std::string_view kWild = "*?";

bool is_wild(std::string_view text) { return text.find_first_of(kWild) != std::string_view::npos; }

bool is_domain_octet(char c) {
  return is_alpha(c) || is_digit(c) || !is_ascii(c) || std::string_view("-_.*?[]:").find(c) != std::string_view::npos;
}

// The labels of a domain, IDNs as A-labels. A label of which a part is left open has no A-label.
std::optional<std::string> a_labels_in(std::string_view domain) {
  std::string result;
  for (;;) {
    const std::size_t end = std::min(domain.find('.'), domain.size());
    const std::string_view label = domain.substr(0, end);
    if (is_ascii_text(label)) {
      result += to_lower(label);
    } else {
      const auto name = is_wild(label) ? std::nullopt : canonical_domain(label);
      if (!name || !is_ascii_text(*name)) return std::nullopt;
      result += *name;
    }
    if (end == domain.size()) return result;
    result += '.';
    domain.remove_prefix(end + 1);
  }
}

class GlobReader {
 public:
  GlobReader(std::string_view glob, std::string& why, std::string& help) : glob_(glob), why_(why), help_(help) {}

  std::optional<std::string> domain() {
    if (const std::size_t at = glob_.rfind('@'); at != std::string_view::npos) {
      return never("a domain has no '@'", fmt::format("write \"{}\"", glob_.substr(at + 1)));
    }
    return host(glob_);
  }

  std::optional<std::string> local() {
    const std::size_t at = glob_.rfind('@');
    if (at == std::string_view::npos || glob_.ends_with('"')) return folded(glob_);
    return never("a local part has no '@'", fmt::format("write \"{}\"", glob_.substr(0, at)));
  }

  // What stands behind the last '@', or without one behind the last open part, is the end of a domain.
  std::optional<std::string> address() {
    std::size_t begin = glob_.rfind('@');
    if (begin == std::string_view::npos) {
      if (glob_.find('*') == std::string_view::npos) {
        return never("an address has an '@'", fmt::format("write \"{}@*\" or \"*@{}\"", glob_, glob_));
      }
      begin = glob_.find_last_of(kWild);
      const std::string_view rest = glob_.substr(begin + 1);
      if (!is_ascii_text(rest.substr(0, rest.find('.')))) return part_of_label();
    }
    const std::string_view head = glob_.substr(0, begin + 1);
    const auto tail = host(glob_.substr(begin + 1));
    return tail ? std::optional(folded(head) + *tail) : std::nullopt;
  }

  std::optional<std::string> host() {
    if (glob_.find('@') != std::string_view::npos) return never("the name of a host has no '@'", "omit it");
    return host(glob_);
  }

 private:
  std::optional<std::string> host(std::string_view text) {
    if (!std::ranges::all_of(text, is_domain_octet)) {
      return never("a domain has letters, digits, '-' and '_'", "omit the other characters");
    }
    if (text.size() > 1 && text.ends_with('.')) text.remove_suffix(1);
    if (text.find("..") != std::string_view::npos) return never("no label of a domain is empty", "write one dot");
    auto result = a_labels_in(text);
    return result ? result : part_of_label();
  }

  std::nullopt_t part_of_label() {
    return never("IDNs are compared as A-labels, and a part of a label has none",
                 "let the * stand for whole labels, or write the A-label, xn--…");
  }

  std::nullopt_t never(std::string why, std::string help) {
    why_ = std::move(why);
    help_ = std::move(help);
    return std::nullopt;
  }

  std::string_view glob_;
  std::string& why_;
  std::string& help_;
};

// "@*.example.org" is any address of these domains, "news-*@" such a name anywhere.
std::string with_open_ends(std::string_view glob, const Subject& subject) {
  if (subject.kind != FactKind::address && subject.kind != FactKind::login) return std::string(glob);
  std::string whole(glob.starts_with('@') ? "*" : "");
  whole += glob;
  if (glob.ends_with('@')) whole += '*';
  return whole;
}

}  // namespace

std::optional<std::string> canonical_glob(std::string_view glob, const Subject& subject, std::string& why,
                                          std::string& help) {
  const std::string whole = with_open_ends(glob, subject);
  GlobReader reader(whole, why, help);
  switch (subject.kind) {
    case FactKind::domain: return reader.domain();
    case FactKind::local_part: return reader.local();
    case FactKind::address: return reader.address();
    case FactKind::login: return glob.find('@') == std::string_view::npos ? folded(glob) : reader.address();
    default: break;
  }
  const bool host = subject.fact == Fact::client_name || (subject.fact == Fact::helo && !is_ascii_text(glob));
  if (host) return reader.host();
  const bool dot = subject.fact == Fact::helo && glob.size() > 1 && glob.ends_with('.');
  return folded(dot ? glob.substr(0, glob.size() - 1) : glob);
}

}  // namespace replygate
