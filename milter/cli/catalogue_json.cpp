#include "milter/cli/catalogue_json.h"

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include "policy/mail/characters.h"

namespace replygate {
namespace {

namespace json = boost::json;

json::array strings(const std::vector<std::string_view>& words) {
  json::array result;
  for (const std::string_view word : words) result.emplace_back(word);
  return result;
}

json::value or_null(std::string_view text) { return text.empty() ? json::value(nullptr) : json::value(text); }

}  // namespace

json::object json_of(const ReplyCode& code) {
  json::array senses;
  for (const Sense& sense : code.senses) {
    senses.push_back(json::object{{"meaning", sense.meaning}, {"sources", strings(names_of_sources(sense.sources))}});
  }
  json::array classes;
  for (const Classification* c : classifications_with(code.code)) classes.emplace_back(c->slug);
  return {{"code", code.code},
          {"severity", to_string(severity_of(code.code))},
          {"category", category_of(code.code)},
          {"bounce", to_string(bounce_of(code.code))},
          {"senses", std::move(senses)},
          {"commands", strings(names(code.commands))},
          {"any_command", code.any_command},
          {"rfc5321", strings(names(code.rfc5321))},
          {"defined_by", or_null(code.defined_by)},
          {"classifications", std::move(classes)},
          {"sender_should", code.sender_should},
          {"admin_should", code.admin_should}};
}

json::object json_of(const Classification& c) {
  json::array stages;
  for (const Stage stage : kStages) {
    if (has(c.stages, stage)) stages.emplace_back(to_string(stage));
  }
  return {{"classification", c.slug},
          {"code", c.code},
          {"enhanced", c.enhanced.text()},
          {"text", c.text},
          {"severity", to_string(severity_of(c.code))},
          {"bounce", to_string(bounce_of(c.code))},
          {"stages", std::move(stages)},
          {"meaning", c.meaning}};
}

json::object json_of(EnhancedCode code) {
  const EnhancedStatus* status = find_enhanced_status(code);
  json::array classes;
  for (const Classification& c : classifications()) {
    if (c.enhanced == code) classes.emplace_back(c.slug);
  }
  return {{"enhanced", code.text()},
          {"class", class_in_words(code)},
          {"subject", subject_in_words(code)},
          {"detail", status == nullptr ? json::value(nullptr) : json::value(status->meaning)},
          {"defined_by", status == nullptr ? json::value(nullptr) : json::value(status->defined_by)},
          {"classifications", std::move(classes)}};
}

json::object json_of(const RgInfo& row) {
  return {{"diagnostic", fmt::format("RG{}", static_cast<int>(row.code))},
          {"title", row.title},
          {"explanation", row.explanation}};
}

// Nothing but a string can have octets that are no UTF-8.
std::string line_of(const json::value& value) {
  const std::string text = json::serialize(value);
  std::string line;
  for (std::string_view rest = text; !rest.empty();) {
    const Character c = take_character(rest);
    if (c.number) {
      line += c.octets;
    } else {
      line += fmt::format(R"(\\x{:02x})", static_cast<unsigned char>(c.octets.front()));
    }
  }
  return line + '\n';
}

}  // namespace replygate
