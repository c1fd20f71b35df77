#include "policy/load/given_outcomes.h"

#include "policy/load/quantities.h"
#include "policy/mail/text.h"
#include "policy/scenario/fates.h"

namespace replygate {
namespace {

// One after the other, so that each mistake is told once.
void check_possible(Context& context, const Node& node, const Outcomes& outcomes, std::size_t recipients) {
  const auto most = static_cast<std::int64_t>(recipients);
  const auto wrong = [&](std::string message, std::string help) {
    context.error(Rg::test_wrong, node.region, std::move(message), std::move(help));
  };
  const std::int64_t failed = count_of(outcomes, Unit::hard_bounces) + count_of(outcomes, Unit::blocked);
  const std::int64_t ended = failed + count_of(outcomes, Unit::deliveries);
  if (ended > most) {
    return wrong(fmt::format("{} final outcomes for {}", ended, counted(recipients, "recipient")),
                 "a recipient has one of hard_bounces, blocked and deliveries; a deferral may come before it");
  }
  if (const auto deferrals = count_of(outcomes, Unit::deferrals); deferrals > most) {
    return wrong(fmt::format("{} deferrals for {}", deferrals, counted(recipients, "recipient")),
                 "however often a recipient is deferred, it counts once");
  }
  if (const auto complaints = count_of(outcomes, Unit::complaints); complaints > most - failed) {
    wrong(fmt::format("{} complaints of {} that may have got the message", complaints,
                      counted(most - failed, "recipient")),
          "a recipient complains once, and not of what it did not get");
  }
}

}  // namespace

Outcomes read_outcomes(Context& context, const Node& node, std::size_t recipients) {
  Outcomes outcomes;
  if (!context.expect(node, Node::Kind::table, "outcome")) return outcomes;
  context.check_keys(node, "outcome", "outcome");
  for (const Entry& e : node.entries) {
    const auto unit = unit_from(e.key);
    if (!unit || !counts_outcomes(*unit)) continue;  // is reported
    std::int64_t count = 0;
    read_number(context, node, e.key, {0, 100000, "0", "100000"}, count);
    outcomes.emplace_back(*unit, count);
  }
  check_possible(context, node, outcomes, recipients);
  return outcomes;
}

GivenOutcomes parse_outcomes(std::string_view text, const std::string& name, std::size_t recipients) {
  const std::string_view given = trim(text);
  const std::string whole =
      given.starts_with('{') ? fmt::format("outcome = {}", given) : fmt::format("outcome = {{ {} }}", given);
  const ReadSource read = [&](const DataSource&, std::string&) { return std::optional(whole); };
  Context context(name, read);
  std::string ignored;
  context.read({DataSource::Kind::file, name, ""}, ignored);
  GivenOutcomes result;
  auto document = parse_document(whole, name);
  if (const auto* mistake = std::get_if<Diagnostic>(&document)) {
    context.error(mistake->code, mistake->primary.region, mistake->message,
                  "write for instance 'hard_bounces = 8, deliveries = 52'");
  } else if (const Node& root = std::get<Node>(document); root.entries.size() == 1) {
    result.outcomes = read_outcomes(context, root.entries.front().value, recipients);
  } else {
    context.error(Rg::test_wrong, root.region, "only outcomes stand here",
                  "write for instance 'hard_bounces = 8, deliveries = 52'");
  }
  Loaded loaded = context.finish(nullptr);
  result.diagnostics = std::move(loaded.diagnostics);
  result.sources = std::move(loaded.sources);
  return result;
}

}  // namespace replygate
