#include "milter/serve/control_commands.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>

#include "milter/exit_status.h"
#include "milter/json_members.h"
#include "milter/log/say.h"
#include "milter/serve/control_outcome.h"
#include "milter/serve/control_quota.h"
#include "milter/serve/past_decisions.h"
#include "milter/serve/report_status.h"

namespace replygate {
namespace {

namespace json = boost::json;

using Done = std::function<void(ControlAnswer)>;

constexpr std::int64_t kMostRows = 1000;

std::int64_t number_of(const json::object& request, std::string_view key, std::int64_t standard, std::int64_t most) {
  const json::value* value = request.if_contains(key);
  if (value == nullptr || !value->is_int64()) return standard;
  return std::clamp<std::int64_t>(value->as_int64(), 1, most);
}

json::array rows_of(const std::vector<Ranking::Row>& rows) {
  json::array list;
  for (const Ranking::Row& row : rows) {
    list.push_back(json::object{{"key", json_text(row.key)}, {"recipients", row.recipients}, {"refused", row.refused}});
  }
  return list;
}

void status(Desk& desk, const json::object&, const Done& done) { done({.result = report_status(desk)}); }

void rules(Desk& desk, const json::object&, const Done& done) { done({.result = {{"rules", report_rules(desk)}}}); }

void reload(Desk& desk, const json::object&, const Done& done) {
  const PolicyKeeper::Outcome outcome = desk.keeper.reload();
  json::array waiting;
  for (const std::string& section : outcome.waiting) waiting.push_back(json::string(section));
  ControlAnswer answer{.result = {{"policy", outcome.id}, {"messages", outcome.message}, {"waiting", waiting}}};
  if (outcome.taken) {
    say(fmt::format("policy {} taken from {}", outcome.id, desk.keeper.file()));
  } else {
    say(fmt::format("{} was not loaded; policy {} stays in force", desk.keeper.file(), outcome.id));
    answer.status = kPolicyError;
    answer.error = fmt::format("the policy is invalid; policy {} stays in force", outcome.id);
  }
  done(std::move(answer));
}

void top(Desk& desk, const json::object& request, const Done& done) {
  const auto count = static_cast<std::size_t>(number_of(request, "count", 10, kMostRows));
  const Rankings::Tables tables = desk.rankings.first(count, desk.clock.now());
  done({.result = {{"senders", rows_of(tables.senders)},
                   {"clients", rows_of(tables.clients)},
                   {"rules", rows_of(tables.rules)}}});
}

void why(Desk& desk, const json::object& request, const Done& done) {
  if (desk.history == nullptr) {
    return done({.status = kUnavailable, .error = "no history is kept; [history] in the policy says where"});
  }
  const std::string word = text_at(request, "word");
  if (word.empty()) return done({.status = kUsage, .error = "why needs a reference, a queue id or an address"});
  const auto most = static_cast<std::size_t>(number_of(request, "count", 20, kMostRows));
  done({.result = {{"records", past_decisions(*desk.history, word, most)}}});
}

void drain(Desk& desk, const json::object& request, const Done& done) {
  const json::value* off = request.if_contains("off");
  const bool open = off != nullptr && off->is_bool() && off->as_bool();
  desk.traffic.close(!open);
  say(open ? "new sessions are let in again" : "draining: new sessions are turned away with 421");
  done(
      {.result = {
           {"draining", !open}, {"sessions", desk.traffic.sessions()}, {"transactions", desk.traffic.transactions()}}});
}

struct Handler {
  std::string_view name;
  void (*carry_out)(Desk& desk, const json::object& request, const Done& done);
};

constexpr Handler kCommands[] = {{"status", status},
                                 {"rules", rules},
                                 {"reload", reload},
                                 {"top", top},
                                 {"why", why},
                                 {"drain", drain},
                                 {"outcome-report", outcome_report},
                                 {"outcome-dead", outcome_dead},
                                 {"outcome-clear", outcome_clear},
                                 {"quota-show", quota_show},
                                 {"quota-list", quota_list},
                                 {"quota-reset", quota_reset},
                                 {"quota-raise", quota_raise}};

}  // namespace

std::string ControlAnswer::line() const {
  json::object object{{"v", kControlVersion}, {"ok", error.empty()}, {"status", status}};
  if (!error.empty()) object["error"] = error;
  if (!result.empty()) object["result"] = result;
  return json::serialize(object) + '\n';
}

void answer_request(Desk& desk, const json::object& request, const Done& done) try {
  const json::value* version = request.if_contains("v");
  if (version == nullptr || *version != kControlVersion) {
    return done({.status = kUsage, .error = fmt::format("this daemon speaks version {} of requests", kControlVersion)});
  }
  const std::string name = text_at(request, "command");
  const auto it = std::ranges::find(kCommands, name, &Handler::name);
  if (it == std::end(kCommands)) return done({.status = kUsage, .error = "there is no such command"});
  desk.recorder.catch_up();
  it->carry_out(desk, request, done);
} catch (const std::exception& error) {
  done({.status = kInternal, .error = error.what()});
}

}  // namespace replygate
