#include "tests/fault/visitor.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <stdexcept>

#include "milter/json_members.h"
#include "tests/fault/peers.h"

namespace replygate::test {
namespace {

namespace json = boost::json;

Daemon::Options with_control(Daemon::Options options, const std::string& path) {
  options.rules = fmt::format("[control]\nlisten = \"unix:{}\"\n", path) + options.rules;
  return options;
}

int code_of(const Heard& heard) {
  if (heard.command == 'c') return 250;
  return heard.command == 'y' ? std::atoi(heard.data.c_str()) : 0;
}

}  // namespace

Visitor::Visitor(Daemon::Options options) : daemon_(with_control(std::move(options), place_.file("control"))) {}

long Visitor::Sent::accepted() const { return end == 250 ? std::ranges::count(recipients, 250) : 0; }

int Visitor::say(const std::string& packets) {
  const auto begin = now();
  const int code = code_of(mta_->ask(packets));
  slowest = std::max(slowest, seconds_since(begin));
  unanswered += code == 0 ? 1 : 0;
  return code;
}

Visitor::Sent Visitor::message(const std::string& sender, const std::vector<std::string>& recipients) {
  if (!mta_) mta_ = std::make_unique<WireClient>(open_session(daemon_.address()));
  Sent sent;
  if (const int code = say(mail_packet('<' + sender + '>')); code != 250) {
    sent.recipients.assign(recipients.size(), code);
    return sent;
  }
  for (const std::string& to : recipients) sent.recipients.push_back(say(rcpt_packet('<' + to + '>')));
  if (std::ranges::count(sent.recipients, 250) == 0) {
    mta_->send(packet('A'));
    return sent;
  }
  sent.end = say(packet('E'));
  return sent;
}

json::object Visitor::ask(json::object request) {
  if (!control_) {
    auto connected = ControlClient::connect(place_.file("control"));
    if (connected) control_ = *std::move(connected);
  }
  if (control_) {
    auto answer = control_->ask(std::move(request));
    if (answer) return object_at(*answer, "result");
  }
  control_.reset();
  ++unanswered;
  return {};
}

json::object Visitor::status() { return ask({{"command", "status"}}); }

std::string Visitor::trouble() { return text_at(status(), "trouble"); }

long Visitor::used(const std::string& rule, const std::string& key) {
  const json::object shown = ask({{"command", "quota-show"}, {"key", key}, {"rule", rule}});
  const json::array& limits = array_at(shown, "limits");
  return limits.empty() ? -1 : static_cast<long>(number_at(limits.front().as_object(), "used"));
}

int Visitor::stop() {
  control_.reset();
  mta_.reset();
  daemon_.terminate();
  return daemon_.wait();
}

}  // namespace replygate::test
