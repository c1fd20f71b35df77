#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <charconv>
#include <cstdio>

#include "milter/cli/catalogue_json.h"
#include "milter/cli/commands.h"
#include "milter/cli/pasted.h"
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

void print(const ReplyCode& code, std::optional<Command> at) {
  fmt::print("{}  {}, {}, bounce: {}\n", code.code, to_string(severity_of(code.code)), category_of(code.code),
             to_string(bounce_of(code.code)));
  for (const Sense& sense : code.senses) {
    const auto sources = names_of_sources(sense.sources);
    fmt::print("  means       {}  ({})\n", sense.meaning,
               sources.empty() ? "RFC" : fmt::format("{}", fmt::join(sources, ", ")));
  }
  fmt::print("  answers     {}\n", fmt::join(names(code.commands), " "));
  if (code.any_command) fmt::print("              and any other command, when the service must close\n");
  if (code.rfc5321 != 0) fmt::print("  RFC 5321    {}\n", fmt::join(names(code.rfc5321), " "));
  if (at) fmt::print("  at {:<8} {}\n", to_string(*at), to_string(listing_of(code, bit(*at))));
  fmt::print("  defined by  {}\n", code.defined_by.empty() ? "no RFC" : code.defined_by);
  for (const Classification* c : classifications_with(code.code)) {
    fmt::print("  default of  {}: {}\n", c->slug, c->meaning);
  }
  fmt::print("  sender      {}\n  admin       {}\n", code.sender_should, code.admin_should);
}

void print(EnhancedCode code) {
  const EnhancedStatus* status = find_enhanced_status(code);
  fmt::print("{}  {}; {}\n", code.text(), class_in_words(code), subject_in_words(code));
  fmt::print("  means       {}\n", status == nullptr ? "not registered" : status->meaning);
  if (status != nullptr) fmt::print("  defined by  {}\n", status->defined_by);
  for (const Classification& c : classifications()) {
    if (c.enhanced == code) fmt::print("  default of  {} ({})\n", c.slug, c.code);
  }
}

void print(const Classification& c) {
  fmt::print("{}  {} {} \"{}\"\n  means       {}\n  bounce      {}\n  can arise   ", c.slug, c.code, c.enhanced.text(),
             c.text, c.meaning, to_string(bounce_of(c.code)));
  for (const Stage stage : kStages) {
    if (has(c.stages, stage)) fmt::print("{} ", to_string(stage));
  }
  fmt::print("\n");
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

int explain_pasted(const PastedReply& pasted, std::optional<Command> at, bool as_json) {
  const ReplyCode* code = find_reply_code(pasted.code);
  const bool contradiction = pasted.enhanced && pasted.enhanced->severity != pasted.code / 100;
  if (as_json) {
    json::object fields{{"code", pasted.code},
                        {"enhanced", pasted.enhanced ? json::value(pasted.enhanced->text()) : json::value(nullptr)},
                        {"text", pasted.text},
                        {"host", pasted.host.empty() ? json::value(nullptr) : json::value(pasted.host)},
                        {"severity", to_string(severity_of(pasted.code))},
                        {"bounce", to_string(bounce_of(pasted.code))},
                        {"contradiction", contradiction}};
    if (code != nullptr) fields["code_explained"] = json_of(*code);
    if (pasted.enhanced) fields["enhanced_explained"] = json_of(*pasted.enhanced);
    fmt::print("{}", line_of(fields));
    return kFine;
  }
  if (!pasted.host.empty()) fmt::print("host        {}\n", pasted.host);
  fmt::print("text        {}\n", pasted.text);
  fmt::print("verdict     {}, bounce: {}\n\n", to_string(severity_of(pasted.code)), to_string(bounce_of(pasted.code)));
  if (contradiction) {
    fmt::print("The code and the enhanced code contradict each other; senders go by the code, {}.\n\n", pasted.code);
  }
  if (code != nullptr) {
    print(*code, at);
  } else {
    fmt::print("{}  not a known code; the first digit says: {}\n", pasted.code, to_string(severity_of(pasted.code)));
  }
  if (pasted.enhanced) {
    fmt::print("\n");
    print(*pasted.enhanced);
  }
  return kFine;
}

int not_understood(std::string_view what) {
  std::vector<std::string_view> slugs;
  for (const Classification& c : classifications()) slugs.push_back(c.slug);
  const std::string_view meant = nearest(what, slugs);
  fmt::print(stderr, "replygate: \"{}\" is no code, enhanced code, classification, RGnnnn or reply{}\n", what,
             meant.empty() ? "" : fmt::format("; did you mean \"{}\"?", meant));
  return kFound;
}

}  // namespace

int explain_command(const ExplainOptions& options) {
  std::optional<Command> at;
  if (!options.at.empty()) {
    at = command_from(options.at);
    if (!at) {
      fmt::print(stderr, "replygate: \"{}\" is no SMTP command; write for instance --at RCPT\n", options.at);
      return kUsage;
    }
  }
  const std::string_view what = trim(options.what);
  if (const auto number = whole_number(what)) return explain_code(*number, at, options.json);
  if (const auto enhanced = EnhancedCode::parse(what)) {
    options.json ? fmt::print("{}", line_of(json_of(*enhanced))) : print(*enhanced);
    return kFine;
  }
  if (const Classification* c = find_classification(to_lower(what))) {
    options.json ? fmt::print("{}", line_of(json_of(*c))) : print(*c);
    return kFine;
  }
  if (what.size() > 2 && equal_ignoring_case(what.substr(0, 2), "RG")) {
    const auto number = whole_number(what.substr(2));
    if (const RgInfo* row = number ? find_rg(*number) : nullptr) {
      options.json ? fmt::print("{}", line_of(json_of(*row)))
                   : fmt::print("RG{}  {}\n  {}\n", *number, row->title, row->explanation);
      return kFine;
    }
  }
  if (const auto pasted = take_apart(what)) return explain_pasted(*pasted, at, options.json);
  return not_understood(what);
}

}  // namespace replygate
