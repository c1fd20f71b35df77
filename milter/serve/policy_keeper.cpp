#include "milter/serve/policy_keeper.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "milter/exit_status.h"
#include "milter/files.h"
#include "milter/log/say.h"
#include "milter/serve/gone_rules.h"
#include "milter/serve/raises.h"
#include "policy/load/relay_finding.h"
#include "policy/scenario/test_report.h"

namespace replygate {
namespace {

constexpr std::chrono::seconds kWatchPause{1};

// What the daemon has set up at its start, and cannot exchange while it serves.
std::vector<std::string> takes_restart(const Settings& running, const Settings& wanted) {
  std::vector<std::string> sections;
  const auto differ = [&](bool different, std::string_view section) {
    if (different) sections.emplace_back(section);
  };
  differ(running.listen != wanted.listen || running.engine != wanted.engine || running.bounds != wanted.bounds,
         "[milter]");
  differ(running.policy_service != wanted.policy_service, "[policy_service]");
  differ(running.store != wanted.store, "[store]");
  differ(running.log_sinks != wanted.log_sinks || running.log_format != wanted.log_format, "[log]");
  differ(running.mailbox != wanted.mailbox, "[mailbox]");
  differ(running.control != wanted.control, "[control]");
  differ(running.metrics != wanted.metrics, "[metrics]");
  differ(running.history != wanted.history, "[history]");
  differ(running.outcomes != wanted.outcomes, "[outcomes]");
  differ(running.notify != wanted.notify, "[notify]");
  differ(running.report != wanted.report, "[report]");
  return sections;
}

// A policy cut to nonsense may no longer say where its counters were.
std::string_view where_else(bool standard) {
  return standard ? "; one that had its counters elsewhere is kept beside them: it is looked for there once the file "
                    "has the path of its [store] again"
                  : "";
}

std::string lines_of_warnings(const Loaded& loaded, const std::string& file) {
  std::string lines;
  for (const Diagnostic& d : loaded.diagnostics) {
    if (d.level == Diagnostic::Level::warning) lines += in_one_line(d, loaded.sources) + '\n';
  }
  return lines.empty() ? "" : fmt::format("{}`replygate check {}` says more\n", lines, file);
}

}  // namespace

PolicyKeeper::PolicyKeeper(std::string file, std::string folder, const Clock& clock, Troubles& troubles)
    : file_(std::move(file)), folder_(std::move(folder)), clock_(clock), troubles_(troubles) {}

PolicyKeeper::Candidate PolicyKeeper::read() const {
  Candidate candidate;
  candidate.lists = std::make_unique<ListWatch>(file_);
  Loaded loaded = candidate.lists->load();
  if (loaded.ok()) {
    if (auto found = find_relaying(file_, *loaded.policy); found.warning) {
      loaded.diagnostics.push_back(*std::move(found.warning));
    }
  }
  for (const Diagnostic& d : loaded.diagnostics) candidate.message += render(d, loaded.sources);
  if (!loaded.ok()) {
    candidate.trouble = first_error(loaded);
    candidate.unreadable = loaded.diagnostics.front().code == Rg::unreadable_file;
    return candidate;
  }
  const TestReport tests = run_tests(loaded.policy, loaded.tests);
  if (tests.passed()) {
    candidate.policy = loaded.policy;
    candidate.warnings = lines_of_warnings(loaded, file_);
  } else {
    const std::string failures = failures_text(tests);
    candidate.trouble = fmt::format("tests of the policy fail: {}", first_failure(tests));
    candidate.message += "tests of the policy fail\n" + failures;
  }
  return candidate;
}

// Why the policy that serves could not be kept for a restart, for people; "": it is.
std::string PolicyKeeper::keep(const PolicyTexts& texts) {
  const bool there = look_for(folder_) != Presence::absent;
  has_folder_ = has_folder_ || there;
  auto kept = keep_last_good(folder_, file_, texts);
  if (has_folder_ && !there) kept = tl::unexpected(fmt::format("{}: No such file or directory", folder_));
  kept_ = kept.has_value();
  std::string why =
      kept_ ? ""
            : fmt::format("the policy serves, and cannot be kept for a restart with an invalid one: {}", kept.error());
  troubles_.tell("last-good-policy", {why});
  return why;
}

// The one in the file, or else the last good one; null where there is neither.
std::shared_ptr<const Policy> PolicyKeeper::first_policy(Candidate& candidate) {
  if (candidate.policy != nullptr) {
    folder_ = folder_beside(candidate.policy->settings().store, folder_);
    keep(candidate.lists->texts());
    lists_ = std::move(candidate.lists);
    return candidate.policy;
  }
  std::string why;
  const std::string standard = folder_;
  folder_ = folder_beside(read_file(file_, why).value_or(""), folder_);
  const auto last_good = load_last_good(folder_, file_);
  if (!last_good) {
    say(fmt::format("{}: the policy is invalid; nothing is started: there is no last good one of it in {}{}", file_,
                    folder_, where_else(folder_ == standard)));
    return nullptr;
  }
  say(fmt::format("{}: the policy is invalid; the last good one serves, with its lists as they were, policy {}", file_,
                  last_good->policy->id()));
  return last_good->policy;
}

tl::expected<std::shared_ptr<const Policy>, int> PolicyKeeper::load_first() {
  Candidate candidate = read();
  std::fputs(candidate.policy != nullptr ? candidate.warnings.c_str() : candidate.message.c_str(), stderr);
  const std::lock_guard changing(changing_);
  std::shared_ptr<const Policy> policy = first_policy(candidate);
  if (policy == nullptr) return tl::unexpected(static_cast<int>(candidate.unreadable ? kNoInput : kPolicyError));
  if (auto raises = read_raises(folder_, clock_.now())) {
    raises_ = *std::move(raises);
  } else {
    raises_read_ = false;
    troubles_.tell("raises", {raises.error()});
  }
  if (!raises_.empty()) policy = policy->with(raises_);
  first_ = policy;
  current_ = std::make_unique<CurrentPolicy>(policy);
  const std::lock_guard lock(mutex_);
  state_.since = clock_.now();
  state_.last_good = candidate.policy == nullptr;
  if (state_.last_good) state_.trouble = std::move(candidate.trouble);
  return policy;
}

void PolicyKeeper::take(std::shared_ptr<const Policy> policy) {
  current_->set(raises_.empty() ? std::move(policy) : policy->with(raises_));
  const std::lock_guard lock(mutex_);
  state_.since = clock_.now();
}

PolicyKeeper::Outcome PolicyKeeper::reload() {
  const std::lock_guard changing(changing_);
  Outcome outcome = reload_now();
  changed_();
  return outcome;
}

PolicyKeeper::Outcome PolicyKeeper::reload_now() {
  Candidate candidate = read();
  if (candidate.policy == nullptr) {
    const std::lock_guard lock(mutex_);
    ++state_.failures;
    state_.trouble = std::move(candidate.trouble);
    return {.taken = false, .id = current_->get()->id(), .message = std::move(candidate.message), .waiting = {}};
  }
  if (const std::string why = keep(candidate.lists->texts()); !why.empty()) {
    candidate.message += fmt::format("warning: {}\n", why);
  }
  auto waiting = takes_restart(first_->settings(), candidate.policy->settings());
  candidate.message += notes_on_gone_rules(*current_->get(), *candidate.policy);
  lists_ = std::move(candidate.lists);
  troubles_.tell("lists", lists_->troubles());
  take(candidate.policy);
  const std::lock_guard lock(mutex_);
  ++state_.reloads;
  state_.last_good = false;
  state_.trouble.clear();
  state_.waiting = waiting;
  return {.taken = true,
          .id = current_->get()->id(),
          .message = std::move(candidate.message),
          .waiting = std::move(waiting)};
}

tl::expected<void, std::string> PolicyKeeper::raise(Raise raise) {
  const std::lock_guard changing(changing_);
  Raises raises;
  const Instant now = clock_.now();
  if (!raises_read_) {  // what stands there must not be overwritten
    auto again = read_raises(folder_, now);
    if (!again) return tl::unexpected(again.error());
    raises_ = *std::move(again);
    raises_read_ = true;
    troubles_.tell("raises", {});
  }
  for (const Raise& r : raises_) {
    if (r.until > now && (r.key != raise.key || r.rule != raise.rule)) raises.push_back(r);
  }
  if (raise.percent > 100) raises.push_back(std::move(raise));
  if (auto written = write_raises(folder_, raises); !written) return written;
  raises_ = std::move(raises);
  current_->set(current_->get()->with(raises_));
  changed_();
  return {};
}

void PolicyKeeper::look_at_lists() {
  const std::lock_guard changing(changing_);
  if (lists_ == nullptr) return;
  if (!kept_) keep(lists_->texts());
  auto policy = lists_->look();
  troubles_.tell("lists", lists_->troubles());
  if (policy == nullptr) return;
  take(std::move(policy));
  say(fmt::format("a list has changed; policy {}", current_->get()->id()));
  changed_();
}

void PolicyKeeper::start() {
  watch_ = std::make_unique<Ticker>("lists", kWatchPause, [this] { look_at_lists(); });
}

void PolicyKeeper::stop() {
  if (watch_ != nullptr) watch_->stop();
}

PolicyKeeper::State PolicyKeeper::state() const {
  const std::lock_guard lock(mutex_);
  return state_;
}

}  // namespace replygate
