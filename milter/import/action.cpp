#include "milter/import/action.h"

#include <fmt/format.h>

#include <algorithm>

#include "milter/import/writer.h"
#include "policy/catalogue/enhanced.h"
#include "policy/mail/text.h"
#include "policy/mail/unicode.h"

namespace replygate::import {
namespace {

using ActionKind = Action::Kind;

constexpr std::pair<std::string_view, ActionKind> kWords[] = {
    {"DUNNO", ActionKind::none},
    {"OK", ActionKind::permit},
    {"RELAY", ActionKind::permit},
    {"PERMIT", ActionKind::permit},
    {"REJECT", ActionKind::refuse},
    {"DEFER", ActionKind::refuse},
    {"DEFER_IF_PERMIT", ActionKind::refuse},
    {"HOLD", ActionKind::hold},
    {"DISCARD", ActionKind::discard},
    {"PREPEND", ActionKind::prepend},
    {"WARN", ActionKind::warn},
    {"INFO", ActionKind::warn},
};

bool is_code(std::string_view word) {
  return word.size() == 3 && (word[0] == '4' || word[0] == '5') && is_digit(word[1]) && is_digit(word[2]);
}

// An enhanced code at the beginning of the text goes before; its class is that of the code (RFC 3463).
void take_enhanced(Action& action) {
  const char severity = action.code / 100 == 4 ? '4' : '5';
  action.enhanced = fmt::format("{}.7.1", severity);
  const std::string_view text = action.text;
  const std::size_t end = std::min(text.find_first_of(" \t"), text.size());
  if (!EnhancedCode::parse(text.substr(0, end))) return;
  if (text[0] != '4' && text[0] != '5') return;
  action.enhanced = fmt::format("{}{}", severity, text.substr(1, end - 1));
  action.text = std::string(trim(text.substr(end)));
}

}  // namespace

Action action_of(std::string_view text) {
  text = trim(text);
  const std::size_t end = std::min(text.find_first_of(" \t"), text.size());
  const std::string_view word = text.substr(0, end);
  Action action;
  action.text = std::string(trim(text.substr(end)));
  if (text.empty()) return action;
  if (std::ranges::all_of(text, is_digit)) {
    action.kind = ActionKind::permit;
  } else if (is_code(word)) {
    action.kind = ActionKind::refuse;
    action.code = (word[0] - '0') * 100 + (word[1] - '0') * 10 + (word[2] - '0');
  } else {
    const auto known = std::ranges::find_if(kWords, [&](const auto& w) { return equal_ignoring_case(w.first, word); });
    if (known != std::end(kWords)) action.kind = known->second;
    if (action.kind == ActionKind::refuse) action.code = equal_ignoring_case(word, "REJECT") ? 554 : 450;
  }
  if (action.kind == ActionKind::refuse) take_enhanced(action);
  return action;
}

std::string reply_of(int code, std::string_view enhanced, std::string_view text) {
  return fmt::format("{{ code = {}, enhanced = {}, text = {} }}", code, toml_string(enhanced),
                     toml_string(text.empty() ? "Access denied" : text));
}

std::string reply_of(const Action& action) {
  return reply_of(action.code, action.enhanced, template_text(action.text));
}

std::string hold_of(const Action& action, std::string_view otherwise) {
  constexpr std::size_t kLongest = 200;
  return toml_string(whole_characters(action.text.empty() ? otherwise : std::string_view(action.text), kLongest));
}

std::string header_of(std::string_view field) {
  const std::size_t colon = field.find(':');
  if (colon == std::string_view::npos || colon == 0) return "";
  return fmt::format("{{ {} = {} }}", toml_string(trim(field.substr(0, colon))),
                     toml_string(template_text(trim(field.substr(colon + 1)))));
}

}  // namespace replygate::import
