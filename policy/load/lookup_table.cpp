#include "policy/load/lookup_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "policy/mail/text.h"

namespace replygate {
namespace {

using TableKind = LiveSource::Kind;

constexpr std::string_view kOfAll[] = {"domain", "expansion_limit", "result_format"};
constexpr std::string_view kOfSql[] = {
    "hosts", "user", "password", "dbname", "query", "table", "select_field", "where_field", "additional_conditions"};
constexpr std::string_view kOfMysql[] = {"option_file", "option_group", "tls_cert_file",   "tls_key_file",
                                         "tls_CAfile",  "tls_CApath",   "tls_verify_cert", "charset"};
constexpr std::string_view kOfPgsql[] = {"select_function", "encoding"};
constexpr std::string_view kOfLdap[] = {
    "server_host", "server_port", "search_base",      "query_filter",    "result_attribute", "result_filter",
    "scope",       "bind",        "bind_dn",          "bind_pw",         "timeout",          "version",
    "size_limit",  "dereference", "chase_referrals",  "start_tls",       "tls_ca_cert_file", "tls_ca_cert_dir",
    "tls_cert",    "tls_key",     "tls_require_cert", "tls_cipher_suite"};
// What makes no difference to the answer.
constexpr std::string_view kIdle[] = {"idle_interval", "retry_interval",  "require_result_set",
                                      "debuglevel",    "cache",           "cache_expiry",
                                      "cache_size",    "recursion_limit", "tls_random_file"};
constexpr std::string_view kUnsupported[] = {"special_result_attribute",
                                             "leaf_result_attribute",
                                             "terminal_result_attribute",
                                             "result_filter",
                                             "sasl_mechs",
                                             "sasl_realm",
                                             "sasl_authz_id",
                                             "sasl_minssf",
                                             "tls_ciphers",
                                             "select_function"};

template <typename Names>
bool has(const Names& names, std::string_view name) {
  return std::ranges::find(names, name) != std::end(names);
}

template <typename Names>
void append(std::vector<std::string_view>& all, const Names& names) {
  for (const std::string_view name : names) all.push_back(name);
}

// With the blanks that they begin with.
std::vector<std::string_view> whole_lines(std::string_view text) {
  std::vector<std::string_view> lines;
  for (;;) {
    const std::size_t end = text.find('\n');
    lines.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return lines;
    text.remove_prefix(end + 1);
  }
}

TableParameter parameter_of(std::string_view line, unsigned number) {
  const std::size_t equals = line.find('=');
  if (equals == std::string_view::npos) return {.name = "", .value = std::string(trim(line)), .line = number};
  return {.name = std::string(trim(line.substr(0, equals))),
          .value = std::string(trim(line.substr(equals + 1))),
          .line = number};
}

}  // namespace

std::vector<TableParameter> parse_lookup_table(std::string_view text) {
  std::vector<TableParameter> parameters;
  unsigned number = 0;
  for (const std::string_view line : whole_lines(text)) {
    ++number;
    if (trim(line).empty() || trim(line).starts_with('#')) continue;
    if (is_blank(line.front()) && !parameters.empty()) {
      std::string& value = parameters.back().value;
      value += value.empty() ? "" : " ";
      value += trim(line);
    } else {
      parameters.push_back(parameter_of(line, number));
    }
  }
  return parameters;
}

std::string table_value(const std::vector<TableParameter>& parameters, std::string_view name,
                        std::string_view otherwise) {
  const auto it = std::find_if(parameters.rbegin(), parameters.rend(), [&](const auto& p) { return p.name == name; });
  return it == parameters.rend() ? std::string(otherwise) : it->value;
}

std::vector<std::string_view> table_keys(TableKind kind) {
  std::vector<std::string_view> keys;
  append(keys, kOfAll);
  if (kind == TableKind::mysql || kind == TableKind::pgsql) append(keys, kOfSql);
  if (kind == TableKind::mysql) append(keys, kOfMysql);
  if (kind == TableKind::pgsql) append(keys, kOfPgsql);
  if (kind == TableKind::ldap) append(keys, kOfLdap);
  return keys;
}

TableKey table_key(TableKind kind, std::string_view name) {
  if (has(table_keys(kind), name)) return TableKey::used;
  if (has(kIdle, name)) return TableKey::idle;
  return has(kUnsupported, name) ? TableKey::unsupported : TableKey::unknown;
}

std::string table_query(const std::vector<TableParameter>& parameters) {
  if (std::string query = table_value(parameters, "query"); !query.empty()) return query;
  if (const std::string function = table_value(parameters, "select_function"); !function.empty()) {
    return fmt::format("SELECT {}('%s')", function);
  }
  const std::string table = table_value(parameters, "table");
  const std::string select = table_value(parameters, "select_field");
  const std::string where = table_value(parameters, "where_field");
  if (table.empty() || select.empty() || where.empty()) return "";
  return fmt::format("SELECT {} FROM {} WHERE {} = '%s' {}", select, table, where,
                     table_value(parameters, "additional_conditions"));
}

std::string unknown_placeholder(std::string_view format) {
  constexpr std::string_view kKnown = "%sudSUD123456789";
  for (std::size_t at = 0; (at = format.find('%', at)) != std::string_view::npos; at += 2) {
    const char next = at + 1 < format.size() ? format[at + 1] : ' ';
    if (kKnown.find(next) != std::string_view::npos) continue;
    return next > ' ' && next < '\x7f' ? std::string(format.substr(at, 2)) : "%";
  }
  return "";
}

namespace {

constexpr std::string_view kHidden = "(hidden)";

bool is_password(std::string_view name) {
  const std::string lower = to_lower(name);
  return lower.find("pas") != std::string::npos || lower.find("pw") != std::string::npos;
}

bool is_known(std::string_view name) {
  return has(kOfAll, name) || has(kOfSql, name) || has(kOfMysql, name) || has(kOfPgsql, name) || has(kOfLdap, name) ||
         has(kIdle, name) || has(kUnsupported, name);
}

bool is_word(std::string_view text) {
  return !text.empty() &&
         std::ranges::all_of(text, [](char c) { return is_alpha(c) || is_digit(c) || c == '_' || c == '-'; });
}

// "postgresql://user:password@host/db?password=…", in a line.
std::string without_secrets_of_uris(std::string line) {
  for (std::size_t at = 0; (at = line.find("://", at)) != std::string::npos;) {
    at += 3;
    const std::size_t end = std::min(line.find_first_of("/ \t", at), line.size());
    const std::size_t host = line.substr(at, end - at).rfind('@');
    if (host != std::string::npos) line.replace(at, host, kHidden);
    constexpr std::string_view kPassword = "password=";
    for (std::size_t p = at; (p = line.find(kPassword, p)) != std::string::npos;) {
      p += kPassword.size();
      line.replace(p, std::min(line.find_first_of("& \t,", p), line.size()) - p, kHidden);
    }
  }
  return line;
}

// Of a line that no table has: what stands there may be a password, whatever the name.
std::string without_value(std::string_view line) {
  const std::size_t equals = line.find('=');
  const std::string_view name = trim(line.substr(0, equals));
  if (equals == std::string_view::npos && is_known(name)) return std::string(line);
  if (equals == std::string_view::npos || !is_word(name)) {
    const std::size_t end = name.find_first_of(" \t:");
    const bool is_named = end != std::string_view::npos && is_word(name.substr(0, end));
    return is_named ? fmt::format("{} {}", name.substr(0, end), kHidden) : std::string(kHidden);
  }
  const bool tells = is_known(name) || is_password(name) || !trim(line.substr(equals + 1)).empty();
  return fmt::format("{}= {}", tells ? line.substr(0, equals) : kHidden, kHidden);
}

std::string without_password_of_comment(std::string_view line) {
  if (!is_password(line)) return without_secrets_of_uris(std::string(line));
  const std::size_t equals = line.find('=');
  if (equals == std::string_view::npos) return fmt::format("# {}", kHidden);
  return fmt::format("{}= {}", line.substr(0, equals), kHidden);
}

bool may_be_shown(std::string_view line) {
  const std::size_t equals = line.find('=');
  const std::string_view name = trim(line.substr(0, equals));
  return equals != std::string_view::npos && is_known(name) && !is_password(name);
}

}  // namespace

// A password may go on in lines that begin with a blank, also behind empty lines and comments.
std::string without_passwords(std::string_view text) {
  std::string result;
  bool hidden = false;
  bool first = true;
  for (const std::string_view line : whole_lines(text)) {
    if (!std::exchange(first, false)) result += '\n';
    const std::string_view words = trim(line);
    const bool between = words.empty() || words.front() == '#';
    if (hidden && (between || is_blank(line.front()))) continue;
    if (between) {
      result += without_password_of_comment(line);
      continue;
    }
    if (!is_blank(line.front())) hidden = !may_be_shown(line);
    result += hidden ? without_value(line) : without_secrets_of_uris(std::string(line));
  }
  return result;
}

}  // namespace replygate
