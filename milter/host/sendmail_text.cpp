#include "milter/host/sendmail_text.h"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>

#include "policy/mail/text.h"

namespace replygate::sendmail {
namespace {

// The argument of each call of `macro`, a pattern, without its quotes.
std::vector<std::string> arguments_of(const std::string& mc, const std::string& macro) {
  const re2::RE2 call("\\b" + macro + "\\(\\s*`+([^']*)'+\\s*\\)");
  const std::string text = effective(mc);
  re2::StringPiece rest(text);
  std::vector<std::string> all;
  std::string argument;
  while (re2::RE2::FindAndConsume(&rest, call, &argument)) all.push_back(argument);
  return all;
}

// The values of lines "O NAME=value".
std::vector<std::string> options_of(const std::string& cf, std::string_view name) {
  const std::string begin = fmt::format("O {}=", name);
  std::vector<std::string> all;
  for (const std::string& line : lines_of(cf)) {
    if (line.starts_with(begin)) all.push_back(line.substr(begin.size()));
  }
  return all;
}

Filter filter_of(std::string name, const std::string& options) {
  static const re2::RE2 socket("S=([^,]*)");
  static const re2::RE2 flags("F=([A-Z0-9]*)");
  static const re2::RE2 timeouts("T=([^,']*)");
  Filter f{.name = std::move(name), .socket = "", .flags = "", .timeouts = ""};
  re2::RE2::PartialMatch(options, socket, &f.socket);
  re2::RE2::PartialMatch(options, flags, &f.flags);
  re2::RE2::PartialMatch(options, timeouts, &f.timeouts);
  return f;
}

// Sendmail looks at the first letter of a key alone.
DaemonPort port_of(const std::string& options) {
  DaemonPort port{.options = options, .name = "", .loopback = false, .own_filters = false, .filters = {}};
  std::string number;
  for (const std::string_view given : split(options, ',')) {
    const std::string_view option = trim(given);
    const std::size_t equals = option.find('=');
    if (option.empty() || equals == std::string_view::npos) continue;
    const std::string value(trim(option.substr(equals + 1)));
    const std::string key = to_lower(option.substr(0, 1));
    if (key == "n") port.name = value;
    if (key == "p") number = value;
    if (key == "a") port.loopback = value.starts_with("127.") || value == "::1" || value == "localhost";
    if (key != "i") continue;
    port.own_filters = true;
    for (const std::string_view filter : split(value, ';')) {
      if (!trim(filter).empty()) port.filters.emplace_back(trim(filter));
    }
  }
  if (port.name.empty()) port.name = number.empty() ? "smtp" : number;
  return port;
}

std::vector<DaemonPort> ports_of(const std::vector<std::string>& options) {
  std::vector<DaemonPort> ports;
  std::ranges::transform(options, std::back_inserter(ports), port_of);
  return ports;
}

std::string without_blanks(std::string text) {
  std::erase_if(text, [](char c) { return c == ' ' || c == '\t'; });
  return text;
}

}  // namespace

std::string effective(const std::string& mc) {
  static const re2::RE2 comment("\\bdnl\\b.*");
  std::string result;
  for (std::string line : lines_of(mc)) {
    if (line.starts_with('#')) continue;
    re2::RE2::Replace(&line, comment, "");
    result += line + '\n';
  }
  return result;
}

std::vector<Filter> filters_in_mc(const std::string& mc) {
  static const re2::RE2 filter("INPUT_MAIL_FILTER\\(`([^']*)',\\s*`([^']*)'\\)");
  std::vector<Filter> filters;
  const std::string text = effective(mc);
  re2::StringPiece rest(text);
  std::string name;
  std::string options;
  while (re2::RE2::FindAndConsume(&rest, filter, &name, &options)) filters.push_back(filter_of(name, options));
  return filters;
}

std::vector<Filter> filters_in_cf(const std::string& cf) {
  std::vector<Filter> filters;
  for (const std::string& line : lines_of(cf)) {
    const std::size_t comma = line.find(',');
    if (line.starts_with('X') && comma != std::string::npos) {
      filters.push_back(filter_of(std::string(trim(std::string_view(line).substr(1, comma - 1))), line.substr(comma)));
    }
  }
  return filters;
}

// A define in front of an INPUT_MAIL_FILTER is added to.
std::string filter_list_in_mc(const std::string& mc) {
  static const re2::RE2 define("(?s).*define\\(\\s*`confINPUT_MAIL_FILTERS',\\s*`+([^']*)'+\\s*\\)(.*)");
  std::string list;
  std::string rest;
  if (!re2::RE2::FullMatch(effective(mc), define, &list, &rest)) return "-";
  return rest.find("INPUT_MAIL_FILTER(") == std::string::npos ? without_blanks(list) : "-";
}

std::string filter_list_in_cf(const std::string& cf) {
  const auto lists = options_of(cf, "InputMailFilters");
  return lists.empty() ? "-" : without_blanks(lists.back());
}

std::vector<DaemonPort> ports_in_mc(const std::string& mc) { return ports_of(arguments_of(mc, "DAEMON_OPTIONS")); }
std::vector<DaemonPort> ports_in_cf(const std::string& cf) { return ports_of(options_of(cf, "DaemonPortOptions")); }

// In sendmail.cf each feature leaves the name of its file.
bool has_feature(const std::string& mc, const std::string& cf, std::string_view name) {
  const re2::RE2 feature(fmt::format("FEATURE\\(\\s*`?{}\\b", name));
  return re2::RE2::PartialMatch(effective(mc), feature) ||
         cf.find(fmt::format("$Id: {}.m4", name)) != std::string::npos;
}

// m4 makes a first, empty one.
bool has_own_recipient_rules(const std::string& mc, const std::string& cf) {
  static const re2::RE2 rules("(?m)^SLocal_check_rcpt[^\\n]*\\n(?:#[^\\n]*\\n|\\n)*R");
  return re2::RE2::PartialMatch(effective(mc), rules) || re2::RE2::PartialMatch(cf, rules);
}

}  // namespace replygate::sendmail
