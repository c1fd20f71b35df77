#include "policy/scenario/smtp_script.h"

#include <fmt/format.h>

#include <algorithm>

#include "policy/decide/session.h"
#include "policy/mail/quantity.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

using Verb = ScriptStep::Verb;

constexpr std::pair<std::string_view, Verb> kVerbs[] = {
    {"CONNECT", Verb::connect},   {"HELO", Verb::helo}, {"EHLO", Verb::helo}, {"LHLO", Verb::helo},
    {"STARTTLS", Verb::starttls}, {"AUTH", Verb::auth}, {"MAIL", Verb::mail}, {"RCPT", Verb::rcpt},
    {"DATA", Verb::data},         {"RSET", Verb::rset}, {"QUIT", Verb::quit}, {"WAIT", Verb::wait}};

// Commands that change nothing, with what MTAs say to them.
constexpr std::pair<std::string_view, std::string_view> kIdle[] = {{"NOOP", "250 2.0.0 Ok"},
                                                                   {"VRFY", "252 2.5.2 Send some mail"},
                                                                   {"EXPN", "252 2.5.2 Send some mail"},
                                                                   {"HELP", "214 2.0.0 See RFC 5321"}};

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  for (const std::string_view word : split(text, ' ')) {
    if (!word.empty()) words.emplace_back(word);
  }
  return words;
}

bool from_server(std::string_view line) {
  return line.starts_with("S:") || (line.size() >= 3 && is_digit(line[0]) && is_digit(line[1]) && is_digit(line[2]));
}

// "FROM:<a@b> SIZE=1" without what stands before the address; the end of the address is the end of its brackets.
void split_path(std::string_view text, ScriptStep& step) {
  text = trim(text.substr(std::min(text.find(':') + 1, text.size())));
  std::size_t end = text.find(' ');
  if (text.starts_with('<')) {
    const std::size_t close = text.find('>');
    end = close == std::string_view::npos ? close : close + 1;
  }
  step.argument = text.substr(0, end);
  if (end < text.size()) step.parameters = words_of(text.substr(end));
}

class Parser {
 public:
  explicit Parser(std::string_view text) : rest_(text) {}

  std::variant<std::vector<ScriptStep>, ScriptMistake> parse() {
    while (!rest_.empty()) {
      std::string_view line = trim(next_line());
      if (line.starts_with("C:")) line = trim(line.substr(2));
      if (line.empty() || line.starts_with('#') || from_server(line)) continue;
      if (auto why = add(line); !why.empty()) return ScriptMistake{number_, std::move(why)};
    }
    return std::move(steps_);
  }

 private:
  std::string_view next_line() {
    ++number_;
    const std::size_t end = std::min(rest_.find('\n'), rest_.size());
    std::string_view line = rest_.substr(0, end);
    rest_.remove_prefix(std::min(end + 1, rest_.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    return line;
  }

  std::string add(std::string_view line) {
    const std::string_view word = line.substr(0, line.find_first_of(" \t"));
    for (const auto& [name, reply] : kIdle) {
      if (!equal_ignoring_case(name, word)) continue;
      steps_.push_back({.verb = Verb::other, .text = std::string(line), .argument = std::string(reply)});
      return "";
    }
    const auto known = std::ranges::find_if(kVerbs, [&](const auto& v) { return equal_ignoring_case(v.first, word); });
    if (known == std::end(kVerbs)) return fmt::format("\"{}\" is not a dialogue command", word);
    ScriptStep step{.verb = known->second, .text = std::string(line)};
    const std::string_view rest = trim(line.substr(word.size()));
    switch (step.verb) {
      case Verb::mail:
      case Verb::rcpt:
        if (rest.find(':') == std::string_view::npos)
          return fmt::format("write {} with an address behind a colon", word);
        split_path(rest, step);
        break;
      case Verb::data: content(step); break;
      case Verb::wait: {
        const auto wait = parse_duration(rest);
        if (!wait) return fmt::format("\"{}\" is not a time; write for instance WAIT 5m", rest);
        step.wait = *wait;
        break;
      }
      case Verb::connect:
        if (!IpAddress::parse(rest.substr(0, rest.find(' '))))
          return "write for instance CONNECT 192.0.2.10 mail.example";
        [[fallthrough]];
      default: {
        auto words = words_of(rest);
        if (!words.empty()) step.argument = words[0];
        if (words.size() > 1) step.parameters.push_back(words[1]);
      }
    }
    steps_.push_back(std::move(step));
    return "";
  }

  // Up to the line with a dot: header fields, an empty line, the body.
  void content(ScriptStep& step) {
    bool headers = true;
    while (!rest_.empty()) {
      std::string_view line = next_line();
      if (line.starts_with("C: ")) line.remove_prefix(3);
      if (line == ".") return;
      if (line.starts_with("..")) line.remove_prefix(1);
      const std::size_t colon = line.find(':');
      if (headers && line.empty()) {
        headers = false;
      } else if (headers && is_blank(line.empty() ? 'x' : line.front()) && !step.headers.empty()) {
        step.headers.back().second += line;
      } else if (headers && colon != std::string_view::npos) {
        step.headers.emplace_back(line.substr(0, colon), trim(line.substr(colon + 1)));
      } else {
        headers = false;
        step.body += line;
        step.body += "\r\n";
      }
    }
  }

  std::string_view rest_;
  unsigned number_ = 0;
  std::vector<ScriptStep> steps_;
};

// What a client, its connection and its MTA would do between the commands.
class Scene {
 public:
  Scene(const std::shared_ptr<const Policy>& policy, Gate& gate, Instant now, const ScriptFacts& asked)
      : policy_(policy), gate_(gate), asked_(asked), now_(now) {}

  std::string play(const ScriptStep& step) {
    if (step.verb == Verb::wait) {
      now_ += step.wait;
      return "(time passes)";
    }
    if (step.verb == Verb::connect) return connect(step);
    if (closed_) return "(the connection is closed)";
    if (session_ == nullptr) {
      std::string greeting = begin({.ip = IpAddress::v4(0xC0000201), .port = 40000, .listener = "smtp"});
      if (closed_) return greeting;
    }
    switch (step.verb) {
      case Verb::helo:
        session_->abort(now_);
        return ask([&](Session::Done done) { session_->helo(step.argument, now_, std::move(done)); });
      case Verb::starttls: tls_.version = step.argument.empty() ? "TLSv1.3" : step.argument; return "220 2.0.0 Ready";
      case Verb::auth:
        user_ = step.argument;
        mechanism_ = step.parameters.empty() ? "PLAIN" : step.parameters.front();
        return "235 2.7.0 Ok";
      case Verb::mail: return mail(step);
      case Verb::rcpt: return rcpt(step);
      case Verb::data: return data(step);
      case Verb::other: return step.argument;
      case Verb::quit: end(); return "221 2.0.0 Bye";
      default: session_->abort(now_); return "250 2.0.0 Ok";
    }
  }

  ~Scene() { end(); }
  Scene(const Scene&) = delete;
  Scene& operator=(const Scene&) = delete;

 private:
  template <typename Event>
  std::string ask(Event event) {
    std::string reply = "250 2.0.0 Ok";
    event([&](const Answer& answer) {
      if (answer.refusal) {
        reply = answer.refusal->one_line();
        closed_ = closes_connection(answer.refusal->code());
      }
      if (answer.disposition.discard) reply += " (discarded)";
      if (!answer.disposition.hold.empty()) reply += fmt::format(" (held: {})", answer.disposition.hold);
      for (const Header& h : answer.disposition.headers) reply += fmt::format(" (added {}: {})", h.name, h.value);
    });
    if (closed_) end();
    return reply;
  }

  void end() {
    if (session_) session_->abort(now_);
    session_.reset();
  }

  static std::string out_of_order() { return default_reply("command-not-allowed").one_line(); }

  std::string begin(ConnectEvent event) {
    closed_ = false;
    tls_ = {};
    user_.clear();
    session_ = std::make_unique<Session>(
        policy_, Session::Services{gate_, sink_, references_, asked_.mailboxes, nullptr, asked_.dead}, Session::Door{});
    return ask([&](Session::Done done) { session_->connect(std::move(event), now_, std::move(done)); });
  }

  std::string connect(const ScriptStep& step) {
    end();
    std::string reply = begin({.ip = IpAddress::parse(step.argument),
                               .name = step.parameters.empty() ? "unknown" : step.parameters.front(),
                               .port = 40000,
                               .listener = "smtp"});
    return reply.starts_with("250") ? "220 Ready" : reply;
  }

  std::string mail(const ScriptStep& step) {
    kept_ = 0;
    return ask([&](Session::Done done) {
      session_->mail({.sender = step.argument,
                      .parameters = step.parameters,
                      .user = user_,
                      .mechanism = user_.empty() ? "" : mechanism_,
                      .tls = tls_,
                      .queue_id = "4TEST"},
                     now_, std::move(done));
    });
  }

  std::string rcpt(const ScriptStep& step) {
    if (!session_->in_transaction()) return out_of_order();
    std::string reply =
        ask([&](Session::Done done) { session_->rcpt({.recipient = step.argument}, now_, std::move(done)); });
    if (reply.starts_with("250")) ++kept_;
    return reply;
  }

  std::string data(const ScriptStep& step) {
    if (!session_->in_transaction() || kept_ == 0) return out_of_order();
    std::string reply = ask([&](Session::Done done) { session_->data(now_, std::move(done)); });
    if (!reply.starts_with("250")) return reply;
    for (const auto& [name, value] : step.headers) {
      session_->header(name, value, static_cast<std::int64_t>(name.size() + value.size() + 4));
    }
    reply = ask([&](Session::Done done) { session_->end_of_headers(now_, std::move(done)); });
    if (!reply.starts_with("250")) return reply;
    session_->body(step.body);
    return ask([&](Session::Done done) { session_->end_of_message(now_, std::move(done)); });
  }

  const std::shared_ptr<const Policy>& policy_;
  Gate& gate_;
  ScriptFacts asked_;
  Instant now_;
  NoRecords sink_;
  References references_{1};
  std::unique_ptr<Session> session_;
  Tls tls_;
  std::string user_;
  std::string mechanism_;
  std::size_t kept_ = 0;
  bool closed_ = false;  // by a 421; all but CONNECT and WAIT comes too late
};

}  // namespace

std::variant<std::vector<ScriptStep>, ScriptMistake> parse_script(std::string_view text) {
  return Parser(text).parse();
}

std::vector<ScriptLine> play_script(const std::vector<ScriptStep>& steps, const std::shared_ptr<const Policy>& policy,
                                    Gate& gate, Instant now, const ScriptFacts& asked) {
  std::vector<ScriptLine> lines;
  lines.reserve(steps.size());
  Scene scene(policy, gate, now, asked);
  for (const ScriptStep& step : steps) lines.push_back({step.text, scene.play(step)});
  return lines;
}

}  // namespace replygate
