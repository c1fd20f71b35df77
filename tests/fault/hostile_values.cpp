#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <random>

#include "milter/door/wire/replies.h"
#include "milter/log/journal.h"
#include "policy/decide/record_summary.h"
#include "tests/fault/goals.h"
#include "tests/support/wire.h"
#include "tests/support/world.h"

namespace replygate::test {
namespace {

constexpr std::string_view kPolicy = R"(
[[rule]]
name = "template"
when = { recipient = "bob@example.org" }
reply = { code = 554, text = ["100% no, {helo}", "{helo}"] }
[[rule]]
name = "key"
per = "helo"
count = "attempts"
limit = "1 recipients / 1h"
reply = { class = "quota-exceeded", text = "{limit} of {helo}" }
)";
constexpr std::size_t kLongestHelo = 128;

std::string hostile(std::mt19937_64& random) {
  constexpr std::string_view kUgly =
      "%\r\n\0\x01\x1b\x7f\"\\{}<>=|'`;$\t\xff\xc3\xa9\xe2\x80\xa8"
      "ab %s%n";
  static const std::vector<std::string> kWhole = {
      "\r\n250 2.0.0 Ok", "\",\"forged\":\"1",        "a=b rule=forged", "%s%s%n",
      "</script>",        "a\nREPLYGATE_RULE=forged", "\xc0\xaf",        ""};
  if (random() % 8 == 0) return kWhole[random() % kWhole.size()];
  std::string text;
  const std::size_t length = random() % 50 == 0 ? 4096 : random() % 200;
  for (std::size_t i = 0; i < length; ++i) {
    text += random() % 2 == 0 ? kUgly[random() % kUgly.size()] : static_cast<char>(random() % 256);
  }
  return text;
}

// A name of a host is shown as DNS has it; the model knows what is none.
bool may_be_a_name(std::string_view value) {
  constexpr std::string_view kOfNames = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
  const auto of_names = [&](char c) { return c < 0 || kOfNames.find(c) != std::string_view::npos; };
  return !value.empty() && std::ranges::all_of(value, of_names);
}

std::string no_name(std::mt19937_64& random) {
  std::string value = hostile(random);
  while (may_be_a_name(value)) value = hostile(random);
  return value;
}

// What must reach the client of a value: its first octets, those that are no printable ASCII replaced.
std::string intended(const std::string& value) {
  std::string text = value.substr(0, kLongestHelo);
  std::ranges::replace_if(text, [](char c) { return c < ' ' || c > '~'; }, '?');
  return text;
}

// As an MTA takes a reply of the milter protocol: what it sends, line by line; "%%" is a percent sign.
std::vector<std::string> sent_by_mta(const Reply& reply) {
  std::string octets;
  wire::append_refusal(octets, reply);
  const std::string data = packets_in(octets).at(0).data;
  std::vector<std::string> lines(1);
  for (std::size_t i = 0; i < data.size() && data[i] != '\0'; ++i) {
    if (data.compare(i, 2, "\r\n") == 0) {
      lines.emplace_back();
      ++i;
    } else if (data.compare(i, 2, "%%") == 0) {
      lines.back() += '%';
      ++i;
    } else {
      lines.back() += data[i] == '%' ? '\x01' : data[i];  // a lone one would be a format
    }
  }
  return lines;
}

std::string trimmed_or_dash(const std::string& line) {
  return line.find_first_not_of(' ') == std::string::npos ? "-" : line;
}

struct Faults {
  long text = 0;
  long line = 0;     // too long, empty, or not printable
  long classes = 0;  // of code, enhanced code and verdict differ
  long events = 0;   // one event is not one line of a log
  long forged = 0;   // a key or field that a value has made
  std::size_t longest = 0;
};

// Renders each record as each log does.
class Logs final : public RecordSink {
 public:
  explicit Logs(Faults& faults) : faults_(faults) {}
  void write(Record record) override {
    Rendering rendering(record);
    const std::string& json = rendering.json();
    boost::system::error_code error;
    const boost::json::value value = boost::json::parse(json.substr(0, json.size() - 1), error);
    if (error || std::ranges::count(json, '\n') != 1) ++faults_.events;
    if (!error && value.as_object().contains("forged")) ++faults_.forged;
    if (std::ranges::count(rendering.logfmt(), '\n') != static_cast<std::ptrdiff_t>(record.recipients.size()))
      ++faults_.events;
    const std::string line = summary(record, record.recipients.data());
    if (!std::ranges::all_of(line, [](char c) { return c >= ' ' && c <= '~'; })) ++faults_.events;
    const std::size_t quoted = line.find('"');
    const std::string fields = quoted == std::string::npos ? line : line.substr(line.rfind('"'));
    if (fields.find(" rule=forged") != std::string::npos) ++faults_.forged;
    const std::string entry = Journal::entry(rendering, record.recipients.data());
    if (entry.find("\nREPLYGATE_RULE=forged") != std::string::npos) ++faults_.forged;
    for (const std::size_t size :
         {json.size() / record.recipients.size(), rendering.logfmt().size() / record.recipients.size(), line.size()}) {
      faults_.longest = std::max(faults_.longest, size);
    }
  }

 private:
  Faults& faults_;
};

void check_reply(const Reply& reply, const std::vector<std::string>& wanted, Faults& faults) {
  const auto lines = sent_by_mta(reply);
  const char digit = static_cast<char>('0' + reply.code() / 100);
  if (lines.size() != wanted.size()) ++faults.text;
  for (std::size_t i = 0; i < std::min(lines.size(), wanted.size()); ++i) {
    const std::string& line = lines[i];
    if (line.size() + 2 > 512 || line.size() < 11) ++faults.line;
    if (!std::ranges::all_of(line, [](char c) { return c >= ' ' && c <= '~'; })) ++faults.line;
    if (line[0] != digit || line[4] != digit) ++faults.classes;
    if (line.substr(10) != wanted[i]) ++faults.text;
  }
}

}  // namespace

// 100,000 hostile names of clients through templates, and into all logs, against a model of what must come out.
void hostile_values(const GoalOptions& options, Report& report) {
  const long count = options.full ? 100'000 : options.small ? 5'000 : 20'000;
  std::mt19937_64 random(24);
  World world(kPolicy);
  Faults faults;
  Logs logs(faults);
  long generic = 0;
  for (long i = 0; i < count; ++i) {
    const std::string value = no_name(random);
    Session session(world.policy, {world.gate, logs, world.references}, {});
    const auto ignore = [](const Answer&) {};
    session.connect({.ip = IpAddress::parse("192.0.2.1")}, world.now, ignore);
    session.helo(value, world.now, ignore);
    MailEvent mail;
    mail.sender = fmt::format("<{}@x.example>", value.substr(0, 60));
    mail.user = value;
    mail.queue_id = value.substr(0, 20);
    session.mail(std::move(mail), world.now, ignore);
    const bool keyed = i % 2 == 1 && !value.empty();
    const std::string shown = intended(value);
    if (keyed) session.rcpt({.recipient = "<carol@example.org>"}, world.now, ignore);
    session.rcpt({.recipient = keyed ? "<carol@example.org>" : "<bob@example.org>"}, world.now,
                 [&](const Answer& answer) {
                   if (!answer.refusal) return static_cast<void>(++generic);
                   if (keyed) {
                     check_reply(*answer.refusal, {trimmed_or_dash("1 recipients / 1h of " + shown)}, faults);
                   } else {
                     check_reply(*answer.refusal, {"100% no, " + shown, trimmed_or_dash(shown)}, faults);
                   }
                 });
    session.abort(world.now);
  }
  report.exactly("G24", fmt::format("texts of {} that differ from the model", count), faults.text, 0);
  report.exactly("G24", "lines longer than 512 octets, empty or not printable", faults.line, 0);
  report.exactly("G24", "classes of code and enhanced code that differ", faults.classes, 0);
  report.exactly("G24", "values that led to no reply of ours", generic, 0);
  report.exactly("G25", fmt::format("events of {} that are not one line of a log", count), faults.events, 0);
  report.exactly("G25", "keys and fields that a value has forged", faults.forged, 0);
  report.at_most("G25", "longest line of a log, for a recipient", static_cast<double>(faults.longest), 4096, "octets");
}

}  // namespace replygate::test
