#include "tests/oracle/stranger.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <regex>

#include "policy/count/store_memory.h"

namespace replygate::oracle {
namespace {

constexpr FactSet kNotDelegated = bit(Fact::listener) | bit(Fact::messages) | bit(Fact::recipients) |
                                  bit(Fact::refusals) | bit(Fact::recipient_route) | bit(Fact::mta_refused) |
                                  bit(Fact::smtputf8) | bit(Fact::mailbox_used) | bit(Fact::session_age);

class Asked final : public Witness {
 public:
  explicit Asked(std::set<std::string>& names) : names_(names) {}
  bool local_submission = false;  // which nothing refuses: a refusal without limit is no answer
  bool refused_at_connect = false;

  void judged(const Policy& /*policy*/, const Facts& /*facts*/, const Question& question, const Inquiry& inquiry,
              const std::vector<std::optional<Reading>>& /*readings*/, const Verdict& verdict) override {
    // What was refused when it came in greets, but is not answered again.
    const bool again = question.stage == Stage::helo && refused_at_connect;
    if (question.stage == Stage::connect) refused_at_connect = verdict.kind == Verdict::Kind::refuse;
    for (const Candidate& c : inquiry.candidates) {
      const bool unknown = c.holds == Truth::unknown;
      const bool answers = c.rule->on_unknown == OnUnknown::tempfail && !std::holds_alternative<Tag>(c.rule->outcome);
      const bool nothing = (local_submission || again) && c.rule->refuses() && !c.rule->has_limits();
      if (!nothing && (!unknown || answers)) names_.insert(c.rule->name);
      if (verdict.refusal && verdict.refusal->rule == c.rule) return;
      if (verdict.accepted_by == c.rule) return;
    }
  }

 private:
  std::set<std::string>& names_;
};

class Player {
 public:
  Player(const std::shared_ptr<const Policy>& policy, Gate& gate, References& references, const Talk& talk)
      : site_(policy->site()),
        talk_(talk),
        now_(talk.begin),
        session_(policy, {gate, sink_, references},
                 talk.delegated ? Session::Door{"policy_service", false, false, kNotDelegated} : Session::Door{}) {}

  bool relays() {
    const auto ip = talk_.client.empty() ? std::nullopt : IpAddress::parse(talk_.client);
    session_.connect({.ip = ip,
                      .name = talk_.name,
                      .port = talk_.port,
                      .listener = talk_.listener,
                      .local_submission = talk_.local_submission},
                     now_, heard());
    bool relayed = false;
    for (const Said& said : talk_.messages) {
      if (closed_) return relayed;
      relayed |= message(said);
    }
    return relayed;
  }

 private:
  Session::Done heard() {
    return [this](const Answer& answer) {
      refused_ = answer.refusal.has_value();
      discards_ = answer.disposition.discard;
      closed_ |= refused_ && answer.refusal->code() == 421;
    };
  }

  void wait(const Said& said, std::size_t before) { now_ += std::chrono::seconds(said.waits[before]); }

  // A stranger's message that is let through to a recipient that is not ours.
  bool message(const Said& said) {
    wait(said, 0);
    if (!said.helo.empty()) session_.helo(said.helo, now_, heard());
    if (closed_) return false;
    wait(said, 1);
    session_.mail({.sender = '<' + said.sender + '>',
                   .parameters = said.parameters,
                   .user = said.user,
                   .mechanism = "PLAIN",
                   .tls = said.tls},
                  now_, heard());
    if (refused_) return false;
    wait(said, 2);
    bool foreign = false;
    bool some = false;
    bool first = true;
    for (const std::string& recipient : said.recipients) {
      if (&recipient == &said.recipients.back()) now_ += std::chrono::seconds(said.wait_last);
      const bool mta = said.mta_refuses_first && std::exchange(first, false);
      session_.rcpt({.recipient = '<' + recipient + '>', .route = route_of(recipient, said), .mta_refused = mta}, now_,
                    heard());
      if (closed_) return false;
      if (refused_ || mta) continue;
      some = true;
      foreign |= is_foreign(recipient, said);
    }
    if (!some || !said.ends || talk_.delegated) {
      if (!talk_.stays) session_.abort(now_);
      return false;
    }
    return content(said) && foreign && is_stranger(said);
  }

  bool content(const Said& said) {
    wait(said, 3);
    session_.data(now_, heard());
    if (refused_) return false;
    std::int64_t left = said.size - 2;
    for (std::int64_t i = 0; i < said.fields; ++i, left -= 20) {
      const auto n = static_cast<std::size_t>(i);
      const bool ours = n < said.headers.size();
      session_.header(ours ? said.headers[n].name : "x-other", ours ? said.headers[n].value : "", 20);
    }
    wait(said, 4);
    session_.end_of_headers(now_, heard());
    if (refused_) return false;
    session_.body(std::string(static_cast<std::size_t>(std::max<std::int64_t>(left, 0)), 'x'));
    wait(said, 5);
    session_.queue_id(said.queue_id);
    session_.end_of_message(now_, heard());
    return !refused_ && !discards_;
  }

  bool ours(const std::string& recipient) const {
    const std::string domain = recipient.substr(recipient.rfind('@') + 1);
    return site_.local_domains->contains(domain) || site_.relay_domains->contains(domain);
  }
  std::optional<std::string> route_of(const std::string& recipient, const Said& said) const {
    return said.local.contains(recipient) || (site_.knows_domains() && ours(recipient)) ? "local" : said.route;
  }
  bool is_foreign(const std::string& recipient, const Said& said) const {
    return site_.knows_domains() ? !ours(recipient) : route_of(recipient, said) == "smtp";
  }
  bool is_stranger(const Said& said) const {
    if (talk_.client.empty() || talk_.local_submission) return false;
    return said.user.empty() && !site_.trusted_networks->contains(*IpAddress::parse(talk_.client));
  }

  const Site& site_;
  const Talk& talk_;
  Instant now_;
  NoRecords sink_;
  Session session_;
  bool refused_ = false;
  bool discards_ = false;
  bool closed_ = false;
};

std::optional<std::string> part(const std::string& text, const std::string& expression) {
  std::smatch found;
  if (!std::regex_search(text, found, std::regex(expression))) return std::nullopt;
  return found[1].str();
}

std::int64_t number(const std::string& text, const std::string& expression, std::int64_t otherwise) {
  const auto found = part(text, expression);
  return found ? std::stoll(*found) : otherwise;
}

// The next instant that the site calls so, "monday 23:00".
Instant named_instant(const std::string& name, const Zone& zone) {
  Instant at{std::chrono::hours(490000)};
  for (int i = 0; i < 8 * 24 * 60; ++i, at += std::chrono::minutes(1)) {
    const LocalTime local = zone.local(at);
    if (fmt::format("{} {:02}:{:02}", weekday_name(local.weekday), local.minute / 60, local.minute % 60) == name) break;
  }
  return at;
}

}  // namespace

Outcome play(const std::shared_ptr<const Policy>& policy, const std::vector<Talk>& talks) {
  Outcome outcome;
  MemoryStore store;
  Asked asked(outcome.answered);
  Gate gate(store, &asked);
  References references(1);
  std::vector<std::unique_ptr<Player>> open;
  for (const Talk& talk : talks) {
    asked.local_submission = talk.local_submission;
    asked.refused_at_connect = false;
    auto player = std::make_unique<Player>(policy, gate, references, talk);
    outcome.relayed |= player->relays();
    if (talk.stays) open.push_back(std::move(player));
  }
  return outcome;
}

std::vector<std::vector<Talk>> parse(const std::string& printed, const Policy& policy) {
  Talk talk;
  talk.client = part(printed, "^client ([^ ,]+)").value_or("");
  talk.name = part(printed, "^client [^ ,]+ \\(([^)]*)\\)").value_or("unknown");
  talk.port = number(printed, ", port (\\d+)", 40000);
  talk.listener = part(printed, ", listener \"([^\"]*)\"").value_or("smtp");
  const auto begin = part(printed, ", connected on (\\w+ \\d\\d:\\d\\d)");
  talk.begin = begin ? named_instant(*begin, policy.site().zone) : Instant(std::chrono::hours(490000));
  talk.begin += std::chrono::seconds(number(printed, ", connected on \\w+ \\d\\d:\\d\\d:(\\d\\d)", 0));
  Said said;
  said.helo = part(printed, ", EHLO ([^,]*), ").value_or("");
  said.sender = part(printed, "MAIL FROM:<([^>]*)>").value_or("?");
  if (const auto size = part(printed, " SIZE=(\\d+)")) said.parameters.push_back("SIZE=" + *size);
  if (printed.find(" SMTPUTF8") != std::string::npos) said.parameters.emplace_back("SMTPUTF8");
  const std::int64_t before = number(printed, ", (\\d+) times RCPT", 0);
  const std::int64_t refusals = number(printed, " after (\\d+) refusals?", 0);
  const std::string target = part(printed, ", RCPT TO:<([^>]*)>").value_or("?");
  for (std::int64_t i = 0; i < before; ++i) said.recipients.push_back(*part(printed, " times RCPT TO:<([^>]*)>"));
  for (std::int64_t i = 0; i <= refusals; ++i) said.recipients.push_back(target);
  for (const std::string_view where : {", \\d+", ", then \\d+"}) {
    const auto local = part(printed, fmt::format("{} times RCPT TO:<([^>]*)> \\(route", where));
    if (local) said.local.insert(*local);
  }
  said.route = part(printed, ", RCPT TO:<[^>]*> \\(route \"([^\"]*)\"\\)");
  if (!said.route && printed.find("tells no route") == std::string::npos) said.route = "smtp";
  said.tls.version = part(printed, "over TLS \\(([^,)]*)").value_or("");
  said.tls.cipher = part(printed, ", cipher \"([^\"]*)\"").value_or("");
  said.tls.bits = number(printed, ", (\\d+) bits", said.tls.version.empty() ? 0 : 256);
  said.tls.subject = part(printed, ", certificate of \"([^\"]*)\"").value_or("");
  said.tls.issuer = part(printed, ", issued by \"([^\"]*)\"").value_or("");
  if (const auto subject = part(printed, ", subject: ([^,]*)")) said.headers.push_back({"subject", *subject});
  said.queue_id = part(printed, ", queue id ([^,]*)").value_or("4abc");
  said.size = number(printed, ", (\\d+) octets?", 1000);
  said.fields = number(printed, ", (\\d+) header fields", std::max<std::int64_t>(1, std::ssize(said.headers)));
  said.wait_last = number(printed, ", (\\d+) s before the last RCPT", 0);
  const std::int64_t behind = number(printed, ", then (\\d+) times RCPT", 0);
  const std::string other = part(printed, ", then \\d+ times RCPT TO:<([^>]*)>").value_or("");
  constexpr std::array<std::string_view, 6> kBefore = {"EHLO", "MAIL", "RCPT", "DATA", "the body", "the end"};
  for (std::size_t i = 0; i < kBefore.size(); ++i) {
    said.waits[i] = number(printed, fmt::format(", (\\d+) s before {}", kBefore[i]), 0);
  }
  const std::int64_t messages = number(printed, " as message (\\d+) of", 1);
  const std::int64_t others = number(printed, ", while (\\d+) such sessions", 0);
  const std::int64_t again = number(printed, ", again after (\\d+) s", 0);
  talk.stays = others > 0;
  const std::int64_t filled = number(printed, ", after (\\d+) messages? to <", 0);
  Talk filling = talk;
  Said& fills = filling.messages.emplace_back(said);
  fills.recipients = {part(printed, ", after \\d+ messages? to <([^>]*)>").value_or("")};
  fills.local.insert(fills.recipients.front());
  std::vector<std::vector<Talk>> ways;
  // Refusals are given to the same message or, all but the last, to messages before it.
  for (const std::int64_t aside : {std::int64_t{0}, refusals}) {
    Talk way = talk;
    Said last = said;
    last.recipients.resize(static_cast<std::size_t>(before + refusals + 1 - aside));
    last.recipients.insert(last.recipients.end(), static_cast<std::size_t>(behind), other);
    for (std::int64_t i = 1; i < std::max(messages, aside + 1); ++i) {
      Said first = said;
      first.ends = false;
      first.recipients.assign(aside > 0 ? 1 : 0, target);
      first.waits = {};
      if (i == 1) first.waits = {said.waits[0], said.waits[1], 0, 0, 0, 0};
      way.messages.push_back(first);
    }
    if (!way.messages.empty()) {
      last.waits[0] = last.waits[1] = 0;
      last.helo = aside > 0 ? said.helo : "";
    }
    way.messages.push_back(last);
    ways.emplace_back(static_cast<std::size_t>(others + 1), way);
    if (again > 0) {
      way.begin += std::chrono::seconds(again);
      ways.back().push_back(way);
    }
    if (aside == 0) continue;
    // Some of both, and no greeting in between.
    for (Said& message : way.messages) {
      if (&message != &way.messages.front()) message.helo = "";
    }
    ways.push_back({way});
  }
  for (auto& way : ways) way.insert(way.begin(), static_cast<std::size_t>(filled), filling);
  return ways;
}

std::string text(const Talk& talk) {
  std::string result =
      fmt::format("{} {}{}{}", talk.client, talk.name, talk.local_submission ? " local submission" : "",
                  talk.delegated ? " second door" : "");
  for (const Said& s : talk.messages) {
    result += fmt::format(" | waits {} EHLO {} tls={}/{}/{} user={} MAIL <{}> {} RCPT {} route={}{} size={} fields={}",
                          fmt::join(s.waits, ","), s.helo, s.tls.version, s.tls.bits, s.tls.subject, s.user, s.sender,
                          fmt::join(s.parameters, " "), fmt::join(s.recipients, ","), s.route.value_or("-"),
                          s.mta_refuses_first ? " (first refused by MTA)" : "", s.size, s.fields);
    for (const Header& h : s.headers) result += fmt::format(" {}: {}", h.name, h.value);
  }
  return result;
}

}  // namespace replygate::oracle
