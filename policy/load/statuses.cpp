#include "policy/load/statuses.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <map>
#include <span>

#include "policy/load/document.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

constexpr std::array<std::string_view, 10> kFileKeys{"provider", "hosts",  "signs",  "source", "do",
                                                     "words",    "status", "phrase", "code",   "guess"};
constexpr std::array<std::string_view, 12> kEntryKeys{"reason",   "codes", "enhanced", "at",    "severity", "phrase",
                                                      "anywhere", "dead",  "retry",    "fault", "do",       "source"};

// One file. The first thing that is wrong ends the reading of all of them.
class StatusFileLoader {
 public:
  StatusFileLoader(const StatusFile& file, Knowledge& knowledge) : file_(file), knowledge_(knowledge) {}

  std::string load() {
    auto parsed = parse_document(file_.text, file_.name);
    if (const auto* wrong = std::get_if<Diagnostic>(&parsed)) return at(wrong->primary.region, wrong->message);
    const Node& root = std::get<Node>(parsed);
    check_keys(root, kFileKeys);
    source_ = text_of(root, "source");
    read_words(root);
    const std::string provider = text_of(root, "provider");
    has_provider_ = !provider.empty();
    if (has_provider_) {
      knowledge_.providers.push_back(
          {provider, texts_of(root, "hosts"), expanded(root, "signs"), texts_of(root, "do"), file_.checked});
    }
    read_entries(root, "status", Ground::provider);
    read_entries(root, "phrase", Ground::phrase);
    read_entries(root, "code", Ground::code);
    read_entries(root, "guess", Ground::guess);
    return error_;
  }

 private:
  std::string at(const Region& region, std::string_view what) const {
    return fmt::format("{}:{}: {}", file_.name, region.line, what);
  }

  void wrong(const Region& region, std::string_view what) {
    if (error_.empty()) error_ = at(region, what);
  }

  void check_keys(const Node& table, std::span<const std::string_view> keys) {
    for (const Entry& entry : table.entries) {
      if (std::ranges::find(keys, entry.key) != keys.end()) continue;
      wrong(entry.key_region, fmt::format("there is no key \"{}\"; there are {}", entry.key, fmt::join(keys, ", ")));
    }
  }

  const Node* value_of(const Node& table, std::string_view key, Node::Kind kind) {
    const Entry* entry = table.find(key);
    if (entry == nullptr) return nullptr;
    if (entry->value.kind == kind) return &entry->value;
    wrong(entry->value.region, fmt::format("{} must be {}", key, describe(kind)));
    return nullptr;
  }

  std::string text_of(const Node& table, std::string_view key) {
    const Node* node = value_of(table, key, Node::Kind::string);
    return node == nullptr ? "" : node->string;
  }

  // A text, or an array of some.
  std::vector<std::string> texts_of(const Node& table, std::string_view key) {
    const Entry* entry = table.find(key);
    if (entry == nullptr) return {};
    if (entry->value.kind == Node::Kind::string) return {entry->value.string};
    std::vector<std::string> texts;
    const Node* array = value_of(table, key, Node::Kind::array);
    for (const Node& item : array == nullptr ? std::vector<Node>() : array->items) {
      if (item.kind != Node::Kind::string) wrong(item.region, fmt::format("{} must be texts", key));
      texts.push_back(item.string);
    }
    return texts;
  }

  void read_words(const Node& root) {
    const Node* table = value_of(root, "words", Node::Kind::table);
    if (table == nullptr) return;
    for (const Entry& entry : table->entries) {
      if (entry.value.kind != Node::Kind::string) return wrong(entry.value.region, "a word must be a text");
      words_[entry.key] = "(?:" + expand(entry.value.string, entry.value.region) + ")";
    }
  }

  // "{name}" stands for a word of [words]; RE2's own {2,3} has digits.
  std::string expand(const std::string& text, const Region& region) {
    std::string result;
    for (std::size_t i = 0; i < text.size(); ++i) {
      const bool opens =
          text[i] == '{' && i + 1 < text.size() && is_alpha(text[i + 1]) && (i == 0 || text[i - 1] != '\\');
      const std::size_t end = opens ? text.find('}', i) : std::string::npos;
      if (end == std::string::npos) {
        result += text[i];
        continue;
      }
      const auto word = words_.find(text.substr(i + 1, end - i - 1));
      if (word == words_.end()) {
        wrong(region, fmt::format("[words] has no {}", text.substr(i, end + 1 - i)));
        return result;
      }
      result += word->second;
      i = end;
    }
    return result;
  }

  std::vector<std::string> expanded(const Node& table, std::string_view key) {
    std::vector<std::string> texts = texts_of(table, key);
    for (std::string& text : texts) text = expand(text, table.find(key)->value.region);
    return texts;
  }

  void read_entries(const Node& root, std::string_view key, Ground ground) {
    const Node* array = value_of(root, key, Node::Kind::array);
    if (array == nullptr) return;
    if (ground == Ground::provider && !has_provider_) {
      return wrong(array->region, "[[status]] is for files with a provider; write [[phrase]]");
    }
    for (const Node& node : array->items) {
      if (node.kind != Node::Kind::table) return wrong(node.region, fmt::format("write [[{}]]", key));
      read_entry(node, ground);
    }
  }

  void read_entry(const Node& table, Ground ground) {
    check_keys(table, kEntryKeys);
    StatusEntry entry;
    entry.ground = ground;
    entry.checked = file_.checked;
    entry.place = fmt::format("{}:{}", file_.name, table.region.line);
    entry.provider = knowledge_.providers.empty() ? 0 : knowledge_.providers.size() - 1;
    entry.anywhere = flag_of(table, "anywhere").value_or(false);
    read_reason(table, entry);
    read_conditions(table, entry);
    entry.dead = flag_of(table, "dead");
    entry.retry = flag_of(table, "retry");
    if (const std::string name = text_of(table, "fault"); !name.empty()) {
      entry.fault = fault_from(name);
      if (!entry.fault) wrong(table.region, fmt::format("there is no fault \"{}\"", name));
    }
    entry.advice = texts_of(table, "do");
    if (ground == Ground::provider && entry.advice.empty()) entry.advice = knowledge_.providers.back().advice;
    entry.source = table.find("source") == nullptr ? source_ : text_of(table, "source");
    if (entry.source.empty()) wrong(table.region, "an entry needs a source: a public page or a standard that says so");
    knowledge_.entries.push_back(std::move(entry));
  }

  void read_reason(const Node& table, StatusEntry& entry) {
    const std::string slug = text_of(table, "reason");
    const auto reason = reason_from(slug);
    if (!reason)
      return wrong(table.region, fmt::format("there is no reason \"{}\"; conf/STATUSES.md lists them", slug));
    entry.reason = *reason;
  }

  void read_conditions(const Node& table, StatusEntry& entry) {
    read_codes(table, entry);
    read_enhanced(table, entry);
    for (const std::string& name : texts_of(table, "at")) {
      const auto command = command_from(name);
      if (!command) return wrong(table.region, fmt::format("\"{}\" is no SMTP command", name));
      entry.at.push_back(*command);
    }
    if (const std::string name = text_of(table, "severity"); !name.empty()) {
      if (name != "transient" && name != "permanent") wrong(table.region, "severity is transient or permanent");
      entry.severity = name == "transient" ? Severity::transient : Severity::permanent;
    }
    entry.phrases = expanded(table, "phrase");
    if (entry.phrases.empty() && entry.codes.empty() && entry.enhanced.empty()) {
      wrong(table.region, "an entry needs a phrase, codes or enhanced codes");
    }
  }

  void read_codes(const Node& table, StatusEntry& entry) {
    const Node* array = value_of(table, "codes", Node::Kind::array);
    if (array == nullptr) return;
    for (const Node& item : array->items) {
      if (item.kind != Node::Kind::integer || item.integer < 400 || item.integer > 599) {
        return wrong(item.region, "codes are whole numbers from 400 to 599");
      }
      entry.codes.push_back(static_cast<int>(item.integer));
    }
  }

  // "5.7.26", "X.7.26" for every class, "none".
  void read_enhanced(const Node& table, StatusEntry& entry) {
    for (std::string text : texts_of(table, "enhanced")) {
      if (text == "none") {
        entry.no_enhanced = true;
        continue;
      }
      const bool every = text.starts_with('X');
      if (every) text[0] = '5';
      auto code = EnhancedCode::parse(text);
      if (!code) return wrong(table.region, fmt::format("\"{}\" is no enhanced code such as 5.7.26 or X.7.26", text));
      if (every) code->severity = 0;
      entry.enhanced.push_back(*code);
    }
  }

  std::optional<bool> flag_of(const Node& table, std::string_view key) {
    const Node* node = value_of(table, key, Node::Kind::boolean);
    if (node == nullptr) return std::nullopt;
    return node->boolean;
  }

  const StatusFile& file_;
  Knowledge& knowledge_;
  std::string source_;
  bool has_provider_ = false;
  std::map<std::string, std::string> words_;
  std::string error_;
};

}  // namespace

tl::expected<Knowledge, std::string> load_statuses(const std::vector<StatusFile>& files) {
  Knowledge knowledge;
  for (const StatusFile& file : files) {
    if (std::string error = StatusFileLoader(file, knowledge).load(); !error.empty()) {
      return tl::unexpected(std::move(error));
    }
  }
  return knowledge;
}

}  // namespace replygate
