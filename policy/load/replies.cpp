#include "policy/load/replies.h"

#include <algorithm>

#include "policy/catalogue/reply.h"
#include "policy/load/foreign.h"
#include "policy/load/meant_reply.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

std::string_view sense_of(int code) {
  return severity_of(code) == Severity::permanent ? "tells the sender to give up" : "tells the sender to try again";
}

// `text` of one string, or of several strings, one a line.
std::optional<std::string> joined(Context& context, const Node& node) {
  if (node.kind != Node::Kind::array) {
    if (!context.expect(node, Node::Kind::string, "text")) return std::nullopt;
    return node.string;
  }
  std::string text;
  for (const Node& item : node.items) {
    if (!context.expect(item, Node::Kind::string, "a line of text")) return std::nullopt;
    if (!text.empty()) text += '\n';
    text += item.string;
  }
  return text;
}

// Where it stands in what joined() made one text.
Region part_of_lines(const Node& node, const ReplyTemplate::Mistake& mistake) {
  if (node.kind != Node::Kind::array) return part_of(node, mistake.at, mistake.length);
  std::size_t at = mistake.at;
  for (const Node& item : node.items) {
    if (at <= item.string.size()) return part_of(item, at, mistake.length);
    at -= item.string.size() + 1;
  }
  return node.region;
}

// "$sender", "$recipient" of other programs.
void warn_of_dollars(Context& context, const Node& node, std::string_view text) {
  for (std::size_t at = 0; (at = text.find('$', at)) != std::string_view::npos; ++at) {
    const std::size_t end = std::min(text.find_first_not_of("abcdefghijklmnopqrstuvwxyz_", at + 1), text.size());
    const std::string_view name = text.substr(at + 1, end - at - 1);
    const std::string_view called = fact_called(name);
    if (called.empty() && find_fact(name) == nullptr) continue;
    context.warning(Rg::reply_text, part_of_lines(node, {at, end - at, "", ""}),
                    fmt::format("\"{}\" stands for itself in a text", text.substr(at, end - at)),
                    fmt::format("write {{{}}}", called.empty() ? name : called));
  }
}

}  // namespace

void Replies::define(const Entry& entry) {
  if (entry.value.kind != Node::Kind::table) {
    const std::string written = entry.value.kind == Node::Kind::string ? reply_as_table(entry.value.string) : "";
    context_.error(Rg::wrong_type, entry.value.region,
                   fmt::format("a reply is a table, not {}", describe(entry.value.kind)),
                   fmt::format("write {}", written.empty() ? "{ class = \"access-denied\" }" : written));
    return;
  }
  if (find_classification(entry.key) != nullptr) {
    context_.error(Rg::defined_twice, entry.key_region, fmt::format("\"{}\" is a classification already", entry.key),
                   "choose another name for the reply");
    return;
  }
  const auto [before, added] = named_.try_emplace(entry.key, Named{&entry.value, entry.key_region});
  if (!added) {
    Diagnostic& d =
        context_.error(Rg::defined_twice, entry.key_region,
                       fmt::format("the reply \"{}\" is defined already", entry.key), "choose another name");
    d.secondary = Label{before->second.name, "here"};
    return;
  }
  // Compiled here too, so that a reply that no rule uses is checked as well.
  from_table(entry.value, standard_of(classification_without_reason()));
}

std::optional<ReplySpec> Replies::compile(const Node& node, const Classification& reason) {
  return compile(node, standard_of(reason));
}

std::optional<ReplySpec> Replies::compile_step(const Node& node, const ReplySpec& own) {
  return compile(node, Standard{own.classification, own.enhanced, own.text.source()});
}

std::optional<ReplySpec> Replies::compile(const Node& node, const Standard& standard) {
  if (node.kind == Node::Kind::table) return from_table(node, standard);
  if (node.kind == Node::Kind::integer) return complete({.code = &node}, standard, node.region);
  if (node.kind == Node::Kind::boolean) {
    context_.error(Rg::wrong_type, node.region, "reply is a code, a classification or a table, not true or false",
                   "write for instance reply = 550");
    return std::nullopt;
  }
  if (!context_.expect(node, Node::Kind::string, "reply")) return std::nullopt;
  if (const auto it = named_.find(node.string); it != named_.end()) {
    // Its mistakes were reported at its definition.
    static const ReadSource reads_nothing = [](const DataSource&, std::string&) {
      return std::optional<std::string>();
    };
    Context silent("", reads_nothing);
    Replies again(silent);
    return again.from_table(*it->second.table, standard);
  }
  if (const Classification* c = find_classification(node.string)) {
    return complete({.classification = c}, standard, node.region);
  }
  unknown_name(node, true);
  return std::nullopt;
}

void Replies::unknown_name(const Node& node, bool replies_too) {
  std::vector<std::string_view> names;
  for (const Classification& c : classifications()) names.push_back(c.slug);
  if (replies_too) {
    for (const auto& [name, named] : named_) names.push_back(name);
  }
  const std::string_view foreign = help_for_reply(node.string.substr(0, node.string.find_first_of(" (")));
  const std::string written = reply_as_table(node.string);
  const bool digits = !node.string.empty() && std::ranges::all_of(node.string, is_digit);
  const std::string_view meant = nearest(node.string, names);
  context_.error(
      Rg::unknown_reply, node.region,
      fmt::format("\"{}\" is not a classification{}", node.string, replies_too ? " and not a name in [replies]" : ""),
      digits             ? fmt::format("write the code without quotes: {}", node.string)
      : !written.empty() ? fmt::format("write {}", written)
      : !foreign.empty() ? std::string(foreign)
      : meant.empty()    ? "`replygate codes` lists the classifications"
                         : fmt::format("did you mean \"{}\"?", meant));
}

const Classification* Replies::class_of(const Node& node) {
  if (!context_.expect(node, Node::Kind::string, "class")) return nullptr;
  const Classification* result = find_classification(node.string);
  if (result == nullptr) unknown_name(node, false);
  return result;
}

std::optional<ReplySpec> Replies::from_table(const Node& table, const Standard& standard) {
  context_.check_keys(table, "reply", "a reply");
  Fields fields;
  for (const Entry& entry : table.entries) {
    if (entry.key == "code") fields.code = &entry.value;
    if (entry.key == "enhanced") fields.enhanced = &entry.value;
    if (entry.key == "text") fields.text = &entry.value;
    if (entry.key == "class") {
      fields.classification = class_of(entry.value);
      if (fields.classification == nullptr) return std::nullopt;
    }
  }
  if (fields.code == nullptr && fields.classification == nullptr) {
    context_.error(Rg::missing_key, table.region, "a reply needs a class or a code",
                   "write for instance class = \"access-denied\"");
    return std::nullopt;
  }
  return complete(fields, standard, table.region);
}

std::optional<int> Replies::code_of(const Node& node) {
  if (node.kind == Node::Kind::real && node.real >= 4 && node.real < 6) {
    context_.error(Rg::wrong_type, node.region, "code is three digits",
                   fmt::format("write code = {0}50 and enhanced = \"{0}.7.1\"", static_cast<int>(node.real)));
    return std::nullopt;
  }
  if (!context_.expect(node, Node::Kind::integer, "code")) return std::nullopt;
  if (node.integer < 400 || node.integer > 599) {
    context_.error(Rg::not_a_refusal, node.region, fmt::format("{} refuses nothing", node.integer),
                   "a refusal has a code from 400 to 599; to let mail pass write accept = true");
    return std::nullopt;
  }
  return static_cast<int>(node.integer);
}

std::optional<EnhancedCode> Replies::enhanced_of(const Fields& fields, int code) {
  const Node& node = *fields.enhanced;
  if (!context_.expect(node, Node::Kind::string, "enhanced")) return std::nullopt;
  const auto enhanced = EnhancedCode::parse(node.string);
  if (!enhanced || enhanced->severity == 2) {
    context_.error(Rg::enhanced_syntax, node.region,
                   fmt::format("\"{}\" is not an enhanced code of a refusal", node.string),
                   fmt::format("write for instance \"{}.7.1\"", code / 100));
    return std::nullopt;
  }
  if (enhanced->severity != code / 100) {
    Diagnostic& d =
        context_.error(Rg::contradiction, node.region,
                       fmt::format("reply code {} and enhanced status \"{}\" contradict each other", code, node.string),
                       fmt::format("write \"{}.{}.{}\", or a code that begins with {}", code / 100, enhanced->subject,
                                   enhanced->detail, enhanced->severity));
    d.primary.text = fmt::format("{} {}", node.string, sense_of(enhanced->severity * 100));
    if (fields.code != nullptr) {
      d.secondary = Label{fields.code->region, fmt::format("{} {}", code, sense_of(code))};
    }
    return std::nullopt;
  }
  return enhanced;
}

std::optional<ReplyTemplate> Replies::text_of(const Node& node, EnhancedCode enhanced) {
  const auto text = joined(context_, node);
  if (!text) return std::nullopt;
  auto parsed = ReplyTemplate::parse(*text);
  if (const auto* mistakes = std::get_if<ReplyTemplate::Mistakes>(&parsed)) {
    for (const auto& m : *mistakes) {
      const std::string_view called = fact_called(std::string_view(*text).substr(m.at, m.length));
      context_.error(Rg::reply_text, part_of_lines(node, m), m.message,
                     called.empty() ? m.help : fmt::format("did you mean {{{}}}?", called));
    }
    return std::nullopt;
  }
  warn_of_dollars(context_, node, *text);
  auto& result = std::get<ReplyTemplate>(parsed);
  if (result.lines() > Reply::kMostLines) {
    context_.error(Rg::reply_lines, node.region, fmt::format("{} lines are too many", result.lines()),
                   fmt::format("a reply has {} lines at most", Reply::kMostLines));
    return std::nullopt;
  }
  const std::size_t longest = result.longest_line() + prefix_size(enhanced) + 2;
  if (longest > Reply::kMostOctets) {
    context_.error(Rg::reply_too_long, node.region,
                   fmt::format("a line can grow to {} octets; SMTP allows {}", longest, Reply::kMostOctets),
                   "shorten the text, name fewer facts, or make it several lines: text = [\"…\", \"…\"]");
    return std::nullopt;
  }
  return std::move(result);
}

std::optional<ReplySpec> Replies::complete(const Fields& fields, Standard standard, const Region& at) {
  if (fields.classification != nullptr) standard = standard_of(*fields.classification);
  const auto code = fields.code != nullptr ? code_of(*fields.code) : std::optional(standard.classification->code);
  if (!code) return std::nullopt;
  ReplySpec reply{.classification = standard.classification, .code = *code, .enhanced = standard.enhanced, .text = {}};
  reply.enhanced.severity = static_cast<std::uint16_t>(reply.code / 100);
  if (fields.enhanced != nullptr) {
    const auto enhanced = enhanced_of(fields, reply.code);
    if (!enhanced) return std::nullopt;
    reply.enhanced = *enhanced;
  }
  Node ready{.kind = Node::Kind::string, .region = at};
  ready.string = standard.text;
  auto text = text_of(fields.text != nullptr ? *fields.text : ready, reply.enhanced);
  if (!text) return std::nullopt;
  reply.text = *std::move(text);
  return reply;
}

void Replies::check_stage(const ReplySpec& reply, Stage stage, const Region& at) {
  const ReplyCode* code = find_reply_code(reply.code);
  const CommandSet here = commands_of(stage);
  if (code != nullptr && listing_of(*code, here) != Listing::nobody) return;
  const auto classes = classifications_with(reply.code);
  if (std::ranges::any_of(classes, [&](const Classification* c) { return has(c->stages, stage); })) return;
  const auto commands = code == nullptr ? std::vector<std::string_view>() : names(code->commands | code->rfc5321);
  context_.warning(Rg::foreign_code, at,
                   fmt::format("{} is not a usual answer to {}", reply.code, join_or(names(here))),
                   commands.empty() ? fmt::format("the catalogue does not know {}", reply.code)
                                    : fmt::format("it is listed for {}", join_or(commands)));
}

}  // namespace replygate
