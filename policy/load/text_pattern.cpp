#include "policy/load/text_pattern.h"

#include <algorithm>
#include <array>

#include "policy/load/glob_text.h"
#include "policy/load/meant_pattern.h"
#include "policy/load/pattern_signs.h"
#include "policy/mail/address.h"
#include "policy/mail/domain.h"
#include "policy/mail/text.h"
#include "policy/mail/tls_version.h"
#include "policy/mail/unicode.h"
#include "policy/rules/key_part.h"

namespace replygate {
namespace {

bool is_mechanism(std::string_view text) {  // RFC 4422 §3.1
  return text.size() <= 20 &&
         std::ranges::all_of(text, [](char c) { return is_alpha(c) || is_digit(c) || c == '-' || c == '_'; });
}

// As a string of TOML, in which a backslash stands for itself between single quotes alone.
std::string in_quotes(std::string_view text) {
  return text.find('\\') == std::string_view::npos ? fmt::format("\"{}\"", text) : fmt::format("'{}'", text);
}

bool is_digest(std::string_view text) {
  return text.size() == 32 &&
         std::ranges::all_of(text, [](char c) { return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'f'); });
}

bool has_names(const Subject& s) {
  return is_host(s) || s.kind == FactKind::domain || s.kind == FactKind::address || s.kind == FactKind::login;
}

bool has_blank(std::string_view text) { return std::ranges::any_of(text, is_blank); }
bool is_word(std::string_view text) { return !has_blank(text); }
bool is_something(std::string_view text) { return !text.empty(); }

// "/foo/" of "/foo/i"; "" where there are no flags.
std::string_view without_flags(std::string_view text) {
  const std::size_t end = text.find_last_of('/');
  if (!text.starts_with('/') || end == 0 || end == std::string_view::npos) return "";
  const std::string_view flags = text.substr(end + 1);
  const bool known = flags.find_first_not_of("gimsuxIMSUX") == std::string_view::npos;
  return flags.empty() || flags.size() > 3 || !known ? "" : text.substr(0, end + 1);
}

// What the values of a text are made of.
struct Alphabet {
  Fact fact;
  bool (*has)(std::string_view text);
  std::string_view instead;  // of what it has not
};

constexpr std::array kAlphabets = {
    Alphabet{Fact::client_name, is_something, "a client without a verified name is \"unknown\""},
    Alphabet{Fact::recipient_route, is_something, "a mailer that the MTA does not tell is unknown; see on_unknown"},
    Alphabet{Fact::digest, is_digest, "it is 32 hexadecimal digits, as records have them"},
    Alphabet{Fact::auth_mechanism, is_mechanism, "mechanisms are named \"PLAIN\", \"SCRAM-SHA-256\""},
    Alphabet{Fact::tls_cipher, is_word, "it has no blanks"},
    Alphabet{Fact::queue_id, is_word, "it has no blanks"},
};

}  // namespace

void TextPatterns::never(const ListItem& item, std::string_view what, std::string help) {
  std::string foreign = foreign_pattern_help(item.text);
  context_.error(Rg::cannot_match, item.region(), fmt::format("{} is never \"{}\"", what, item.text),
                 foreign.empty() ? std::move(help) : std::move(foreign));
}

std::optional<std::string> TextPatterns::domain(std::string_view text, const ListItem& item) {
  auto result = canonical_domain(text);
  if (!result)
    context_.error(Rg::domain, item.region(), fmt::format("\"{}\" is not a domain", text), foreign_pattern_help(text));
  return result;
}

// Where anything may stand it may be meant so; elsewhere it can never match.
bool TextPatterns::misread(Rg code, const Subject& subject, const ListItem& item, std::string message,
                           std::string help) {
  if (is_free_text(subject)) {
    context_.warning(code, item.region(), std::move(message), std::move(help));
    return false;
  }
  context_.error(code, item.region(), std::move(message), std::move(help));
  return true;
}

// True, with an error, for what is hardly meant as it is written. Patterns are data: nothing in them is replaced.
bool TextPatterns::is_meant_otherwise(const Subject& subject, const ListItem& item) {
  const std::string_view text = item.text;
  if (const std::string_view fact = fact_in_braces(text); !fact.empty()) {
    return misread(Rg::pattern_type, subject, item, fmt::format("\"{}\" stands for itself in a pattern", fact),
                   "two facts are not compared with each other; only texts of replies name facts in braces");
  }
  if (const std::string help = foreign_pattern_help(text); !help.empty() && !is_everyday(text.substr(0, 1))) {
    return misread(Rg::pattern_type, subject, item, fmt::format("\"{}\" would be compared as it stands", text), help);
  }
  const auto compares = [&] { return subject.kind == FactKind::version && versions_allowed(text); };  // "!= SSLv3"
  if (text.starts_with('!') && text.size() > 1 && !compares()) {
    return misread(Rg::pattern_type, subject, item, fmt::format("\"{}\" stands for itself: ! negates nothing", text),
                   fmt::format("write \"{}\" under unless", trim(text.substr(1))));
  }
  if (const std::string_view expression = without_flags(text); !expression.empty()) {
    return misread(Rg::regex, subject, item, fmt::format("\"{}\" has flags, which are not supported", text),
                   fmt::format("write {}: case never matters", in_quotes(expression)));
  }
  if (text.starts_with('/') && text.size() > 1 && !is_attribute_path(text)) {
    return misread(Rg::regex, subject, item, fmt::format("\"{}\" has no closing slash", text),
                   fmt::format("a regular expression stands between two: {}", in_quotes(fmt::format("{}/", text))));
  }
  if (!is_free_text(subject) && has_names(subject)) {
    if (const std::string plain = with_plain_dots(text); plain != text) {
      context_.error(Rg::domain, item.region(), fmt::format("\"{}\" has another sign for a dot", text),
                     fmt::format("write \"{}\"", plain));
      return true;
    }
  }
  if (!looks_like_expression(text)) return false;
  return misread(Rg::regex, subject, item,
                 fmt::format("\"{}\" looks like a regular expression, and would be taken as it stands", text),
                 fmt::format("for a regular expression write {}", in_quotes(fmt::format("/{}/", text))));
}

// True, with a diagnostic, for what is no value.
bool TextPatterns::is_no_value(const Subject& subject, const ListItem& item) {
  if (is_meant_otherwise(subject, item)) return true;
  if (std::ranges::none_of(item.text, [](char c) { return is_control(c) && c != '\t'; })) return false;
  never(item, "a value", "values have no line ends and no control characters");
  return true;
}

void TextPatterns::add(TextSet& set, const Subject& subject, const ListItem& item) {
  const std::string_view text = item.text;
  const bool everyday = is_everyday(text);
  if (!everyday && is_closed_expression(text)) return add_regex(set, subject, item);
  if (!everyday && is_no_value(subject, item)) return;
  if (subject.kind == FactKind::version) return add_version(set, item);
  if (!everyday && text.find_first_of("*?") != std::string_view::npos) {
    if (auto pattern = glob(subject, item)) set.add_glob(*pattern);
  } else {
    add_plain(set, subject, item);
  }
}

void TextPatterns::add_plain(TextSet& set, const Subject& subject, const ListItem& item) {
  const std::string_view text = item.text;
  const bool has_domain = subject.kind != FactKind::local_part;
  const bool has_local = subject.kind == FactKind::address || subject.kind == FactKind::login || is_free_text(subject);
  if (text.size() > 1 && text.starts_with('.') && has_domain) {
    if (const auto name = domain(text.substr(1), item)) set.add_domain_tree(*name);
  } else if (text.size() > 1 && text.starts_with('@') && has_local) {
    if (const auto name = domain(text.substr(1), item)) set.add_at_domain(*name);
  } else if (text.size() > 1 && text.ends_with('@') && has_local) {
    const std::string_view local = text.substr(0, text.size() - 1);
    set.add_local(canonical_key_part(local, Fact::sender_local, Site()).value_or(folded(local)));
  } else {
    add_exact(set, subject, item);
  }
}

std::optional<std::string> TextPatterns::glob(const Subject& subject, const ListItem& item) {
  std::string why;
  std::string help;
  auto result = canonical_glob(item.text, subject, why, help);
  if (!result) {
    context_.error(Rg::cannot_match, item.region(), fmt::format("nothing matches \"{}\": {}", item.text, why), help);
  }
  return result;
}

// RE2 names the part that it stumbles over, which stands somewhere in the expression.
void TextPatterns::add_regex(TextSet& set, const Subject& subject, const ListItem& item) {
  std::string_view part;
  const std::string_view expression = item.text.substr(1, item.text.size() - 2);
  const bool names = is_host(subject) || subject.kind == FactKind::domain;
  if (names && !is_ascii_text(expression)) {
    const auto name = canonical_domain(expression);
    context_.error(Rg::cannot_match, item.region(),
                   fmt::format("nothing matches {}: IDNs are compared as A-labels", item.text),
                   name && std::ranges::all_of(*name, is_ascii) ? fmt::format("write \"/{}/\"", *name)
                                                                : "write the A-labels, xn--…");
    return;
  }
  const auto why = set.add_regex(expression, &part);
  if (!why) {
    TextSet alone;
    alone.add_regex(expression);
    const auto found = [&](std::string_view name) { return alone.contains(to_lower(name)); };
    const bool any = alone.contains("") || std::ranges::any_of(tls_versions(), found);
    if (subject.kind == FactKind::version && !any) {
      never(item, "tls_version", version_help(""));
    }
    return;
  }
  Region at = item.region();
  if (item.node != nullptr && !part.empty()) {
    at = part_of(*item.node, 1 + static_cast<std::size_t>(part.data() - expression.data()), part.size());
  }
  context_.error(Rg::regex, at, fmt::format("{}: {}", item.text, *why), "the syntax is that of RE2");
}

void TextPatterns::add_version(TextSet& set, const ListItem& item) {
  if (item.text.find_first_of("*?") != std::string_view::npos) {
    TextSet alone;
    alone.add_glob(to_lower(item.text));
    bool any = false;
    for (const std::string_view version : tls_versions()) {
      if (!alone.contains(to_lower(version))) continue;
      set.add_exact(to_lower(version));
      any = true;
    }
    if (any) return;
  } else if (const auto allowed = versions_allowed(item.text); allowed && !allowed->empty()) {
    for (const std::string& version : *allowed) set.add_exact(version);
    return;
  }
  never(item, "tls_version", version_help(item.text));
}

void TextPatterns::add_exact(TextSet& set, const Subject& subject, const ListItem& item) {
  if (item.text.empty()) return add_text(set, subject, item);
  switch (subject.kind) {
    case FactKind::domain: return add_domain(set, item);
    case FactKind::address: return add_address(set, item);
    case FactKind::local_part: return add_local(set, item);
    case FactKind::login: return set.add_exact(canonical_login(item.text));
    default: break;
  }
  if (is_host(subject)) return add_host(set, subject, item);
  subject.fact == Fact::client_net ? add_net(set, item) : add_text(set, subject, item);
}

void TextPatterns::add_domain(TextSet& set, const ListItem& item) {
  const std::string_view text = item.text;
  if (text.find('@') != std::string_view::npos) {
    never(item, "a domain", fmt::format("write \"{}\"", text.substr(text.rfind('@') + 1)));
  } else if (const auto name = domain(text, item)) {
    set.add_exact(*name);
  }
}

void TextPatterns::add_address(TextSet& set, const ListItem& item) {
  const std::string_view text = item.text;
  if (is_canonical_address(text)) return set.add_exact(text);
  const Address address = canonical_address(text, {.default_domain = "", .is_local = [](auto) { return false; }});
  if (address.form == Address::Form::mailbox) return set.add_exact(address.full);
  if (address.form == Address::Form::null) return never(item, "an address", "the null sender is \"\"");
  const bool name = text.find('.') == std::string_view::npos && is_canonical_address(fmt::format("{}@a", text));
  never(item, "an address",
        name                     ? fmt::format("for that mailbox of every domain write \"{}@\"", text)
        : canonical_domain(text) ? fmt::format("for every address of the domain write \"@{}\"", text)
                                 : "write \"user@example.org\", \"@example.org\", \".example.org\" or \"user@\"");
}

void TextPatterns::add_local(TextSet& set, const ListItem& item) {
  const std::string_view text = item.text;
  if (const auto local = canonical_key_part(text, Fact::sender_local, Site())) return set.add_exact(*local);
  never(item, "a local part",
        text.find('@') != std::string_view::npos ? fmt::format("write \"{}\"", text.substr(0, text.find('@')))
                                                 : "one with blanks or quotes has quotes around it: '\"a b\"'");
}

// What a client calls itself is text; as far as it is a name, IDNs are compared as A-labels.
void TextPatterns::add_host(TextSet& set, const Subject& subject, const ListItem& item) {
  const std::string_view text = item.text;
  const auto name = canonical_domain(text);
  if (subject.fact == Fact::helo) {
    if (has_blank(text)) return never(item, "helo", "a greeting has no blanks");
    return set.add_exact(name ? *name : folded(text));
  }
  if (name && !name->starts_with('[')) return set.add_exact(*name);
  const bool address = IpAddress::parse(text) || text.starts_with('[');
  never(item, "client_name",
        address ? "addresses are compared with client_ip; a client without a verified name is \"unknown\""
                : "it is a verified name, or \"unknown\"");
}

void TextPatterns::add_net(TextSet& set, const ListItem& item) {
  const Site& site = site_ != nullptr ? *site_ : Site();
  if (const auto net = canonical_key_part(item.text, Fact::client_net, site)) return set.add_exact(*net);
  never(item, "client_net",
        fmt::format("[keys] cuts networks so: \"{}\"; client_ip is compared with any network",
                    net_like(item.text, site)));
}

void TextPatterns::add_text(TextSet& set, const Subject& subject, const ListItem& item) {
  const auto it = std::ranges::find(kAlphabets, subject.fact, &Alphabet::fact);
  if (it != kAlphabets.end() && !it->has(item.text)) {
    return never(item, info(it->fact).name, std::string(it->instead));
  }
  set.add_exact(folded(item.text));
}

}  // namespace replygate
