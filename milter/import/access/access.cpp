#include "milter/import/access/access.h"

#include <fmt/format.h>

#include <algorithm>

#include "milter/import/action.h"
#include "policy/mail/text.h"

namespace replygate {
namespace import::access {
namespace {

using ActionKind = Action::Kind;

// Entries that are one rule: of one rank, with one fact and one action.
struct Group {
  std::vector<const Found*> all;
  Action action;

  const Found& first() const { return *all.front(); }
};

class TableWriter {
 public:
  TableWriter(Writer& writer, const AccessSettings& settings, std::string where, List& list, std::vector<Late>& late)
      : writer_(writer), settings_(settings), where_(std::move(where)), list_(list), late_(late) {}

  void write(const Table& table) {
    const std::vector<Found> order = lookup_order(table, settings_);
    for (const Group& group : groups_of(order, table.type == Type::indexed)) write(group);
    list_.permitted.insert(list_.permitted.end(), permits_.begin(), permits_.end());
    if (list_.hangs_on.empty()) list_.hangs_on = doubtful_permit_;
  }

 private:
  static bool one_rule(const Group& group, const Found& found, bool indexed) {
    const Found& first = group.first();
    if (!first.why.empty() || first.idle || first.negated || found.negated || first.fact != found.fact) return false;
    return first.entry->action == found.entry->action && (!indexed || first.rank == found.rank);
  }

  // In an index those of one rank exclude each other, so their order is ours.
  static std::vector<Group> groups_of(const std::vector<Found>& order, bool indexed) {
    std::vector<Group> groups;
    for (const Found& found : order) {
      const bool carried = found.why.empty() && !found.idle;
      auto same = groups.rend();
      if (carried && indexed) {
        for (auto it = groups.rbegin(); it != groups.rend() && it->first().rank == found.rank; ++it) {
          if (one_rule(*it, found, indexed)) same = it;
        }
      } else if (carried && !groups.empty() && one_rule(groups.back(), found, indexed)) {
        same = groups.rbegin();
      }
      if (same != groups.rend()) {
        same->all.push_back(&found);
      } else {
        groups.push_back({{&found}, action_of(found.entry->action)});
      }
    }
    return groups;
  }

  std::string place(const Found& found) const { return fmt::format("{}line {}", where_, found.entry->line); }

  void lose(const Group& group, std::string_view why) {
    for (const Found* found : group.all) writer_.lose(place(*found), found->entry->text, why);
    // What an entry has kept from later ones, or from the rest of the list, they would get.
    const ActionKind kind = group.action.kind;
    if (kind == ActionKind::refuse) return;
    if (hangs_on_.empty()) hangs_on_ = place(group.first());
    const bool permits = kind == ActionKind::permit || kind == ActionKind::other || kind == ActionKind::discard;
    if (permits && doubtful_permit_.empty()) doubtful_permit_ = place(group.first());
  }

  void write(const Group& group) {
    const Found& first = group.first();
    const std::string& entry = first.entry->text;
    if (first.idle) return writer_.remark(fmt::format("{}: {} (Postfix never comes to this key)", place(first), entry));
    if (!first.why.empty()) return lose(group, first.why);
    const std::string& on = list_.hangs_on.empty() ? hangs_on_ : list_.hangs_on;
    if (!on.empty()) return lose(group, fmt::format("hangs on {}", on));
    switch (group.action.kind) {
      case ActionKind::refuse: return refuse(group);
      case ActionKind::prepend: return prepend(group);
      case ActionKind::hold: set_late(group, "hold", hold_of(group.action)); return pass_over(group);
      case ActionKind::discard:
        if (settings_.as == "recipient") return lose(group, "a recipient cannot discard the message of others");
        set_late(group, "discard", "true");
        permit(group);
        return pass_over(group);
      case ActionKind::permit: permit(group); [[fallthrough]];
      case ActionKind::none:
      case ActionKind::warn: return pass_over(group);
      case ActionKind::other: return lose(group, "replygate has no such action");
    }
  }

  static std::vector<std::string> patterns_of(const Group& group) {
    std::vector<std::string> patterns;
    for (const Found* found : group.all)
      patterns.insert(patterns.end(), found->patterns.begin(), found->patterns.end());
    return patterns;
  }

  RuleText begin(const Group& group) const {
    RuleText rule;
    const Found& first = group.first();
    if (first.negated) {
      rule.when("recipients", "\">= 1\"");
      rule.unless(first.fact, first.patterns);
    } else {
      rule.when(first.fact, toml_list(patterns_of(group)));
    }
    for (const Found* before : passed_over_) {
      const bool meets = std::ranges::any_of(group.all, [&](const Found* f) { return may_meet(*before, *f); });
      if (meets) rule.unless(before->fact, before->patterns);
    }
    exempt(rule, list_);
    rule.add("at", toml_string(list_.at));
    return rule;
  }

  std::string name() { return fmt::format("{}-access-{}", settings_.as, ++rules_); }

  void refuse(const Group& group) {
    RuleText rule = begin(group);
    if (list_.observe) rule.add("mode", "\"observe\"");
    rule.add("reply", reply_of(group.action));
    if (const std::string why = writer_.rule(name(), rule); !why.empty()) lose(group, why);
  }

  // Adds, and lets Postfix go on.
  void prepend(const Group& group) {
    RuleText rule = begin(group);
    const std::string header = header_of(group.action.text);
    if (header.empty()) return lose(group, "this is no header field");
    rule.add("header", header);
    if (const std::string why = writer_.rule(name(), rule); !why.empty()) return lose(group, why);
    pass_over(group);
  }

  void set_late(const Group& group, std::string_view key, std::string_view value) {
    RuleText rule = begin(group);
    rule.add(key, value);
    late_.push_back({name(), std::move(rule), place(group.first()), group.first().entry->text});
  }

  void pass_over(const Group& group) {
    if (group.first().negated) {
      hangs_on_ = place(group.first());  // exempts all that does not match
      return;
    }
    passed_over_.insert(passed_over_.end(), group.all.begin(), group.all.end());
  }

  // A more exact entry that lets Postfix go on is no part of what is permitted.
  void permit(const Group& group) {
    const bool doubtful =
        group.first().negated || std::ranges::any_of(passed_over_, [&](const Found* before) {
          return std::ranges::any_of(group.all, [&](const Found* f) { return may_meet(*before, *f); });
        });
    if (doubtful && doubtful_permit_.empty()) doubtful_permit_ = place(group.first());
    if (!doubtful) permits_.emplace_back(group.first().fact, patterns_of(group));
  }

  Writer& writer_;
  const AccessSettings& settings_;
  std::string where_;
  List& list_;
  std::vector<Late>& late_;
  std::vector<const Found*> passed_over_;
  std::vector<std::pair<std::string, std::vector<std::string>>> permits_;
  std::string hangs_on_;
  std::string doubtful_permit_;
  std::size_t rules_ = 0;
};

}  // namespace

void exempt(RuleText& rule, const List& list) {
  for (const auto& [fact, patterns] : list.permitted) rule.unless(fact, patterns);
}

void write_table(Writer& writer, const Table& table, const AccessSettings& settings, const std::string& where,
                 List& list, std::vector<Late>& late) {
  TableWriter(writer, settings, where, list, late).write(table);
}

void write_late(Writer& writer, const std::vector<Late>& late) {
  for (const Late& one : late) {
    if (const std::string why = writer.rule(one.name, one.rule); !why.empty()) writer.lose(one.where, one.what, why);
  }
}

}  // namespace import::access

Imported import_access(std::string_view text, const AccessSettings& settings, const ImportSource& source) {
  import::Writer writer(fmt::format("a table of access(5) for {}", settings.as), source);
  import::access::List list;
  std::vector<import::access::Late> late;
  const std::string content = import::cleaned(text);
  write_table(writer, import::access::table_of(content, settings.type), settings, "", list, late);
  write_late(writer, late);
  return writer.finish();
}

}  // namespace replygate
