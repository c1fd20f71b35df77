#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <boost/json.hpp>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <thread>

#include "milter/json_members.h"
#include "milter/serve/control_client.h"
#include "tests/fault/daemon.h"
#include "tests/fault/goals.h"
#include "tests/fault/peers.h"

namespace replygate::test {
namespace {

// Two rules that answer different recipients: a transaction that hears two generations was judged by two policies.
std::string rules_of(int generation) {
  std::string text;
  for (const char* name : {"first", "second"}) {
    text += fmt::format(
        "[[rule]]\nname = \"{0}\"\nwhen = {{ recipient = \"{0}@x.example\" }}\n"
        "reply = {{ code = 550, text = \"generation {1}\" }}\n",
        name, generation);
  }
  return text;
}

struct Seen {
  std::atomic<bool> stop = false;
  std::atomic<long> transactions = 0;
  std::atomic<long> cut = 0;
  std::atomic<long> mixed = 0;
};

void transaction(const std::string& address, Seen& seen) try {
  WireClient mta = open_session(address);
  std::set<std::string> heard;
  if (mta.ask(mail_packet("<a@x.example>")).command != 'c') throw std::system_error(EIO, std::generic_category());
  for (const char* to : {"<first@x.example>", "<second@x.example>", "<third@x.example>", "<first@x.example>"}) {
    const Heard answer = mta.ask(rcpt_packet(to));
    if (answer.command == 0) throw std::system_error(EIO, std::generic_category());
    if (answer.command == 'y') heard.insert(answer.text());
  }
  if (mta.ask(packet('E')).command != 'c') throw std::system_error(EIO, std::generic_category());
  if (heard.size() != 1) ++seen.mixed;
  ++seen.transactions;
} catch (const std::system_error&) {
  ++seen.cut;
}

// Each policy id in the records belongs to one generation of replies, and the other way round.
long inconsistent(const std::string& records) {
  std::map<std::string, std::string> generations;
  std::map<std::string, std::string> policies;
  long wrong = 0;
  std::ifstream in(records);
  for (std::string line; std::getline(in, line);) {
    const boost::json::value record = boost::json::parse(line);
    const std::string policy(record.at("policy").as_string());
    for (const auto& recipient : record.at("recipients").as_array()) {
      const auto* reply = recipient.as_object().if_contains("reply");
      if (reply == nullptr) continue;
      const std::string text(reply->at("text").as_string());
      const auto of_policy = generations.emplace(policy, text).first;
      const auto of_text = policies.emplace(text, policy).first;
      if (of_policy->second != text || of_text->second != policy) ++wrong;
    }
  }
  return wrong;
}

}  // namespace

// Reloads by turns over the control socket and by SIGHUP, under load; every tenth file is in error.
void reloads(const GoalOptions& options, Report& report) {
  const int rounds = options.full ? 1000 : options.small ? 100 : 300;
  const std::string control = fmt::format("/tmp/replygate-reloads.{}", ::getpid());
  const std::string services = fmt::format("[control]\nlisten = \"unix:{}\"\n", control);
  const std::string records = fmt::format("/tmp/replygate-reloads.{}.json", ::getpid());
  Daemon daemon({.binary = options.binary,
                 .milter = "",
                 .rules = services + rules_of(0),
                 .descriptors = {},
                 .records = "file:" + records});
  const std::string file = daemon.folder() + "/policy.toml";
  std::stringstream whole;
  whole << std::ifstream(file).rdbuf();
  const std::string head = whole.str().substr(0, whole.str().find("[[rule]]"));
  const auto write = [&](const std::string& rules) {
    std::ofstream(file + ".new") << head << rules;
    std::filesystem::rename(file + ".new", file);
  };
  Seen seen;
  std::vector<std::thread> peers;
  for (int i = 0; i < 20; ++i) {
    peers.emplace_back([&] {
      while (!seen.stop) transaction(daemon.address(), seen);
    });
  }
  const auto client = ControlClient::connect(control).value();
  long wrong = 0;
  double before = 0;
  const auto begin = now();
  for (int round = 1; round <= rounds; ++round) {
    const bool broken = round % 10 == 0;
    write(broken ? rules_of(round) + "[[rule]]\nnam = \"x\"\n" : rules_of(round));
    const auto answer = client->ask({{"command", "reload"}});
    const bool taken = answer && flag_at(*answer, "ok");
    const std::string messages = answer ? text_at(object_at(*answer, "result"), "messages") : "";
    if (taken == broken || (broken && messages.find("policy.toml:") == std::string::npos)) ++wrong;
    if (round == rounds / 5) before = daemon.resident_mib();
    std::this_thread::sleep_until(begin + std::chrono::milliseconds(round * 60));
  }
  const double took = seconds_since(begin);
  const double growth = daemon.resident_mib() - before;
  seen.stop = true;
  for (std::thread& peer : peers) peer.join();
  daemon.terminate();
  const int status = daemon.wait();
  report.measured("G6", fmt::format("{} reloads took", rounds), took, rounds * 0.06 + 2, "s");
  report.exactly("G6", "reloads with the wrong outcome, or without line:column", wrong, 0);
  report.exactly("G6", fmt::format("transactions cut, of {}", seen.transactions.load()), seen.cut, 0);
  report.exactly("G6", "transactions judged by two policies", seen.mixed, 0);
  report.exactly("G6", "records whose policy id is not that of their replies", inconsistent(records), 0);
  report.measured("G6", "growth of memory", growth, 5, "MiB");
  report.exactly("G6", "exit status", status, 0);
  std::filesystem::remove(records);
}

}  // namespace replygate::test
