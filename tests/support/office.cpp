#include "tests/support/office.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace replygate::test {

// Keeps the records, too.
class Office::Lines final : public RecordListener {
 public:
  explicit Lines(Records& records) : records_(records) {}
  void hear(Rendering& rendering) override { records_.write(rendering.record()); }

 private:
  Records& records_;
};

Office::Office(std::string_view policy)
    : keeper(folder.file("policy.toml"), folder.path().string(), clock, troubles),
      lines_(std::make_unique<Lines>(records)) {
  write_policy(policy);
  const auto loaded = keeper.load_first();
  EXPECT_TRUE(loaded) << "the policy of this test is in error";
  sinks = LogSinks::open(Settings{.log_sinks = {"file:" + folder.file("log.json")}}).value();
  history = History::open(folder.file("history"), HistorySettings{}, troubles).value();
  for (RecordListener* listener : std::initializer_list<RecordListener*>{&statistics, &rankings, &tail, sinks.get(),
                                                                         history.get(), lines_.get()}) {
    recorder.add(*listener);
  }
  recorder.start();
  desk = std::make_unique<Desk>(Desk{.settings = (*loaded)->settings(),
                                     .keeper = keeper,
                                     .store = store,
                                     .health = health,
                                     .clock = clock,
                                     .traffic = traffic,
                                     .times = times,
                                     .statistics = statistics,
                                     .rankings = rankings,
                                     .tail = tail,
                                     .recorder = recorder,
                                     .sinks = *sinks,
                                     .troubles = troubles,
                                     .history = history.get(),
                                     .started = clock.now()});
}

std::unique_ptr<Session> Office::session() {
  return std::make_unique<Session>(keeper.current().get(), Session::Services{gate, recorder, references},
                                   Session::Door{});
}

std::vector<int> Office::send(const std::string& from, const std::vector<std::string>& to, const std::string& user,
                              std::string_view ip) {
  const auto s = session();
  std::vector<int> codes;
  const auto note = [&](const Answer& answer) { codes.push_back(answer.refusal ? answer.refusal->code() : 250); };
  const auto ignore = [](const Answer&) {};
  s->connect({.ip = IpAddress::parse(ip), .name = "client.example.net"}, clock.now(), ignore);
  s->helo("client.example.net", clock.now(), ignore);
  MailEvent mail;
  mail.sender = fmt::format("<{}>", from);
  mail.user = user;
  mail.queue_id = "4QUEUE1";
  int at_mail = 250;
  s->mail(std::move(mail), clock.now(), [&](const Answer& a) { at_mail = a.refusal ? a.refusal->code() : 250; });
  if (at_mail != 250) return std::vector<int>(to.size(), at_mail);
  for (const std::string& address : to) s->rcpt({.recipient = fmt::format("<{}>", address)}, clock.now(), note);
  s->end_of_message(clock.now(), ignore);
  hear_all();
  return codes;
}

}  // namespace replygate::test
