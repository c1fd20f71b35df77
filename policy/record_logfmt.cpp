#include <fmt/format.h>

#include <algorithm>
#include <boost/json/serialize.hpp>

#include "policy/mail/text.h"
#include "policy/record.h"
#include "policy/record_fields.h"

namespace replygate {
namespace {

namespace json = boost::json;

bool needs_quotes(std::string_view text) {
  return text.empty() || std::ranges::any_of(text, [](char c) {
           return is_control(c) || c == ' ' || c == '"' || c == '=' || c == '\\';
         });
}

std::string written(const json::value& value) {
  if (!value.is_string()) return json::serialize(value);
  const std::string_view text = value.get_string();
  return needs_quotes(text) ? json::serialize(value) : std::string(text);
}

// "reply.code" for nested objects; arrays are written as their JSON in one quoted value.
void append(std::string& line, const std::string& prefix, const json::object& fields) {
  for (const auto& [key, value] : fields) {
    const std::string name = prefix + std::string(key);
    if (const auto* nested = value.if_object()) {
      append(line, name + '.', *nested);
    } else if (value.is_array()) {
      line += fmt::format(" {}={}", name, json::serialize(json::string(json::serialize(value))));
    } else {
      line += fmt::format(" {}={}", name, written(value));
    }
  }
}

}  // namespace

std::string to_logfmt(const Record& record) {
  json::object head;
  detail::add_transaction(head, record);
  std::string lines;
  const auto add_line = [&](const json::object& recipient) {
    std::string line;
    append(line, "", head);
    append(line, "", recipient);
    lines.append(line, 1);
    lines += '\n';
  };
  if (record.recipients.empty()) add_line({});
  for (const JudgedRecipient& judged : record.recipients) {
    json::object fields;
    detail::add_recipient(fields, judged, record.connection);
    head["ref"] = judged.ref;
    add_line(fields);
  }
  return lines;
}

}  // namespace replygate
