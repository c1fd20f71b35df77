// An MTA that is faulty at one packet after the other, while the servers that should take a note say nothing.

#include <fmt/format.h>
#include <unistd.h>

#include "milter/json_members.h"
#include "tests/fault/peer_play.h"
#include "tests/fault/peers.h"
#include "tests/fault/visitor.h"
#include "tests/support/eventually.h"

namespace replygate::test {
namespace {

std::vector<std::string> packets_from(const std::string& sender) {
  return {negotiation(6, 0x1ff, 0),
          connect_packet("192.0.2.1"),
          helo_packet(),
          macros_packet('M', {"i", "4QUEUE"}),
          mail_packet('<' + sender + '>'),
          rcpt_packet("<a@x.example>"),
          rcpt_packet("<b@x.example>"),
          packet('T'),
          header_packet("Subject", "words"),
          packet('N'),
          packet('B', "more words\r\n"),
          packet('E'),
          mail_packet('<' + sender + '>'),
          rcpt_packet("<c@x.example>"),
          packet('A'),
          mail_packet('<' + sender + '>'),
          rcpt_packet("<d@x.example>"),
          packet('E'),
          packet('Q')};
}

std::string garbage(long number) {
  switch (number % 3) {
    case 0: return std::string(4, '\0');                     // a packet without a command
    case 1: return std::string("\xff\xff\xff\xff garbage");  // one that never ends
    default: return packet('\x01', "no command of the MTA");
  }
}

// What an MTA knows of what was counted for it.
class Tallied {
 public:
  void sent(const std::string& one) {
    if (one[4] == 'E') may += pending_;
  }
  void heard(const std::string& one, const Heard& heard) {
    const bool good = heard.command == 'c';
    switch (one[4]) {
      case 'M': pending_ = 0; break;
      case 'R': pending_ += good ? 1 : 0; break;
      case 'E':
        may -= pending_;
        sure += good ? pending_ : 0;
        pending_ = 0;
        break;
      default: break;
    }
  }

  long sure = 0;
  long may = 0;

 private:
  long pending_ = 0;
};

bool is_answered(const std::string& one) { return one[4] != 'D' && one[4] != 'A' && one[4] != 'Q'; }

std::string rules_with_notes(int mail, int web) {
  return fmt::format(
      "[notify]\nto = \"admin@example.org\"\nsmtp = \"inet:{}@127.0.0.1\"\nwebhook = \"http://127.0.0.1:{}/\"\n"
      "on = [\"first-refusal\"]\n"
      "[[rule]]\nname = \"few\"\nwhen = {{ sender = \"over@x.example\" }}\nper = \"sender\"\n"
      "limit = \"1 recipients / 1d\"\nreply = 452\n"
      "[[rule]]\nname = \"quota\"\nper = \"sender\"\nlimit = \"1000 recipients / 1d\"\nreply = 452\n",
      mail, web);
}

class MtaPlay final : public PeerPlay {
 public:
  explicit MtaPlay(const std::string& binary)
      : daemon_(
            {.binary = binary, .milter = "packet_timeout = \"1s\"", .rules = rules_with_notes(mail_.port, web_.port)}) {
    daemon_.message("over@x.example", {"a@x.example", "b@x.example"});
  }
  ~MtaPlay() override {
    ::close(mail_.descriptor);
    ::close(web_.descriptor);
  }
  MtaPlay(const MtaPlay&) = delete;
  MtaPlay& operator=(const MtaPlay&) = delete;

  long answers() override { return static_cast<long>(packets_from("").size()); }

  void turn(PeerFault fault, long number, bool lasting) override {
    what_ = fmt::format("{} at packet {}{}", name_of(fault), number, lasting ? " and on" : "");
    const std::string sender = fmt::format("s{}@x.example", figures.turns);
    const Tallied tallied = play(fault, number, lasting, packets_from(sender));
    expect(daemon_.alive(), &PeerFigures::deaths, what_ + ": " + daemon_.messages());
    long used = -1;
    const bool right = eventually([&] {
      used = daemon_.used("quota", sender);
      return used >= tallied.sure && used <= tallied.sure + tallied.may;
    });
    expect(right, &PeerFigures::miscounted,
           fmt::format("{}: {} are counted, not {} to {}", what_, used, tallied.sure, tallied.sure + tallied.may));
    expect(in_order(), &PeerFigures::stuck, what_ + ": not in order");
    figures.slowest = daemon_.slowest;
    figures.unanswered += std::exchange(daemon_.unanswered, 0);
  }

  void end() override {
    const auto begin = now();
    expect(daemon_.stop() == 0, &PeerFigures::deaths, "status at its end: " + daemon_.messages());
    expect(seconds_since(begin) < 3, &PeerFigures::stuck, "a stop waits for a note");
  }

 private:
  Tallied play(PeerFault fault, long number, bool lasting, const std::vector<std::string>& packets) {
    WireClient mta(daemon_.address());
    Tallied tallied;
    for (long i = 1; i <= static_cast<long>(packets.size()); ++i) {
      const std::string& one = packets[static_cast<std::size_t>(i) - 1];
      const bool spoilt = i == number || (lasting && i > number);
      if (!(spoilt ? fail(mta, fault, one, tallied) : ask(mta, one, tallied, 1))) break;
    }
    return tallied;
  }

  // False where the connection has ended.
  bool ask(WireClient& mta, const std::string& one, Tallied& tallied, int times) {
    for (int i = 0; i < times; ++i) mta.send(one);
    tallied.sent(one);
    for (int i = 0; i < times && is_answered(one); ++i) {
      const Heard heard = mta.read();
      if (heard.command == 0) {
        expect(times > 1, &PeerFigures::unanswered, what_ + ": no answer");
        return false;
      }
      tallied.heard(one, heard);
    }
    return true;
  }

  bool fail(WireClient& mta, PeerFault fault, const std::string& one, Tallied& tallied) {
    switch (fault) {
      case PeerFault::late: mta.send(one.substr(0, one.size() - 1)); return closes(mta);
      case PeerFault::cut: mta.send(one.substr(0, one.size() / 2)); return false;
      case PeerFault::doubled: return ask(mta, one, tallied, 2);
      case PeerFault::garbage: mta.send(garbage(figures.turns)); return closes(mta);
      case PeerFault::closed: return false;
      case PeerFault::unheard:  // its answer is not waited for
        mta.send(one);
        tallied.sent(one);
        return false;
      case PeerFault::idle: ask(mta, one, tallied, 1); return false;
    }
    return false;
  }

  bool closes(WireClient& mta) {
    Heard heard;
    while ((heard = mta.read()).command != 0) {
      expect(false, &PeerFigures::wrong, what_ + ": was answered " + heard.text());
    }
    return false;
  }

  bool in_order() {
    const bool exact = daemon_.message("well@x.example", {"a@x.example", "b@x.example"}).accepted() == 2;
    well_ += 2;
    return exact && daemon_.used("quota", "well@x.example") == well_ && daemon_.trouble().empty() &&
           eventually([this] { return number_at(object_at(daemon_.status(), "milter"), "transactions") == 0; });
  }

  const ListeningPort mail_ = listen_tcp();
  const ListeningPort web_ = listen_tcp();
  Visitor daemon_;
  std::string what_;
  long well_ = 0;
};

}  // namespace

std::unique_ptr<PeerPlay> mta_play(const std::string& binary) { return std::make_unique<MtaPlay>(binary); }

}  // namespace replygate::test
