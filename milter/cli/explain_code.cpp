#include "milter/cli/explain_code.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>
#include <cstdio>

#include "milter/cli/catalogue_json.h"
#include "milter/cli/table.h"
#include "milter/exit_status.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

namespace json = boost::json;

std::optional<int> whole_number(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

constexpr std::size_t kIndentOfCode = 14;

void code_line(std::string_view head, std::string_view text) {
  fmt::print("{}", labelled(fmt::format("  {}", head), kIndentOfCode, text));
}

void print(const ReplyCode& code, std::optional<Command> at) {
  fmt::print("{}  {}, {}, bounce: {}\n", code.code, to_string(severity_of(code.code)), category_of(code.code),
             to_string(bounce_of(code.code)));
  for (const Sense& sense : code.senses) {
    const auto sources = names_of_sources(sense.sources);
    code_line("means", fmt::format("{}  ({})", sense.meaning,
                                   sources.empty() ? "RFC" : fmt::format("{}", fmt::join(sources, ", "))));
  }
  code_line("answers", fmt::format("{}", fmt::join(names(code.commands), " ")));
  if (code.any_command) code_line("", "and any other command, when the service must close");
  if (code.rfc5321 != 0) code_line("RFC 5321", fmt::format("{}", fmt::join(names(code.rfc5321), " ")));
  if (at) code_line(fmt::format("at {}", to_string(*at)), to_string(listing_of(code, bit(*at))));
  code_line("defined by", code.defined_by.empty() ? "no RFC" : code.defined_by);
  for (const Classification* c : classifications_with(code.code)) {
    code_line("default of", fmt::format("{}: {}", c->slug, c->meaning));
  }
  code_line("sender", code.sender_should);
  code_line("admin", code.admin_should);
}

void print(EnhancedCode code) {
  const EnhancedStatus* status = find_enhanced_status(code);
  fmt::print("{}  {}; {}\n", code.text(), class_in_words(code), subject_in_words(code));
  code_line("means", status == nullptr ? "not registered" : status->meaning);
  if (status != nullptr) code_line("defined by", status->defined_by);
  for (const Classification& c : classifications()) {
    if (c.enhanced == code) code_line("default of", fmt::format("{} ({})", c.slug, c.code));
  }
}

void print(const Classification& c) {
  std::vector<std::string_view> stages;
  for (const Stage stage : kStages) {
    if (has(c.stages, stage)) stages.push_back(to_string(stage));
  }
  fmt::print("{}", labelled("", 0, fmt::format("{}  {} {} \"{}\"", c.slug, c.code, c.enhanced.text(), c.text)));
  code_line("means", c.meaning);
  code_line("bounce", to_string(bounce_of(c.code)));
  code_line("can arise", fmt::format("{}", fmt::join(stages, " ")));
}

int explain_code(int number, std::optional<Command> at, bool as_json) {
  const ReplyCode* code = find_reply_code(number);
  if (code == nullptr) {
    fmt::print(stderr, "replygate: no known reply code {}; `replygate codes` lists them\n", number);
    return kFound;
  }
  if (!as_json) {
    print(*code, at);
    return kFine;
  }
  json::object fields = json_of(*code);
  if (at) {
    const Listing listing = listing_of(*code, bit(*at));
    fields["listed_at"] =
        json::object{{"command", to_string(*at)}, {"listed", listing == Listing::lists || listing == Listing::rfc5321}};
    fields["listing"] = to_string(listing);
  }
  fmt::print("{}", line_of(fields));
  return kFine;
}

}  // namespace

void print_code(const ReplyCode& code, std::optional<Command> at) { print(code, at); }
void print_enhanced(EnhancedCode code) { print(code); }

std::optional<int> explain_known(std::string_view what, std::optional<Command> at, bool as_json) {
  if (const auto number = whole_number(what)) return explain_code(*number, at, as_json);
  if (const auto enhanced = EnhancedCode::parse(what)) {
    as_json ? fmt::print("{}", line_of(json_of(*enhanced))) : print(*enhanced);
    return kFine;
  }
  if (const Classification* c = find_classification(to_lower(what))) {
    as_json ? fmt::print("{}", line_of(json_of(*c))) : print(*c);
    return kFine;
  }
  if (what.size() > 2 && equal_ignoring_case(what.substr(0, 2), "RG")) {
    const auto number = whole_number(what.substr(2));
    if (const RgInfo* row = number ? find_rg(*number) : nullptr) {
      as_json ? fmt::print("{}", line_of(json_of(*row)))
              : fmt::print("RG{}  {}\n{}", *number, row->title, labelled("", 2, row->explanation));
      return kFine;
    }
  }
  return std::nullopt;
}

}  // namespace replygate
