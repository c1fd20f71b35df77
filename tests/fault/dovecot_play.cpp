// A daemon that asks a faulty quota-status service.

#include <fmt/format.h>

#include "tests/fault/peer_play.h"
#include "tests/fault/visitor.h"
#include "tests/support/eventually.h"

namespace replygate::test {
namespace {

constexpr std::chrono::milliseconds kBehindTimeout{1100};  // [mailbox] timeout is a second

class QuotaService final : public Conversation {
 public:
  std::optional<std::string> answer(std::string& in) override {
    const std::size_t end = in.find("\n\n");
    if (end == std::string::npos) return std::nullopt;
    const bool full = in.substr(0, end).find("recipient=full") != std::string::npos;
    in.erase(0, end + 2);
    return full ? "action=552 5.2.2 Mailbox is full\n\n" : "action=DUNNO\n\n";
  }
};

// Each is answered in its turn: full ones, and those that have room.
const std::vector<std::string> kMailboxes = {"full1@x.example", "bob@x.example", "full2@x.example", "amy@x.example"};
const std::vector<int> kRight = {552, 250, 552, 250};

class DovecotPlay final : public PeerPlay {
 public:
  explicit DovecotPlay(const std::string& binary)
      : peer_(listen_unix(place_.file("quota")), [] { return std::make_unique<QuotaService>(); }),
        daemon_(
            {.binary = binary,
             .rules = fmt::format("[mailbox]\nquota_status = \"unix:{}\"\ntimeout = \"1s\"\n"
                                  "[[rule]]\nname = \"full\"\nwhen = {{ mailbox_used = \">= 100%\" }}\nreply = 552\n"
                                  "[[rule]]\nname = \"quota\"\nper = \"sender\"\nlimit = \"1000 recipients / 1d\"\n"
                                  "reply = 452\n",
                                  place_.file("quota"))}) {}

  long answers() override {
    const long before = peer_.answers();
    script("dry@x.example");
    return peer_.answers() - before;
  }

  void turn(PeerFault fault, long answer, bool lasting) override {
    const std::string what = fmt::format("{} at answer {}{}", name_of(fault), answer, lasting ? " and on" : "");
    const std::string sender = fmt::format("s{}@x.example", figures.turns);
    peer_.spoil(fault, answer, lasting ? 1'000'000 : 1, kBehindTimeout);
    const Visitor::Sent sent = script(sender);
    for (std::size_t i = 0; i < kRight.size(); ++i) {
      const int code = sent.recipients.at(i);
      expect(code == kRight.at(i) || code == 451, &PeerFigures::wrong,
             fmt::format("{}: {} was answered {}", what, kMailboxes.at(i), code));
    }
    const bool fails = lasting && fault != PeerFault::doubled && fault != PeerFault::idle;
    expect(!fails || daemon_.trouble().find("[mailbox]") != std::string::npos, &PeerFigures::silent,
           what + ": no trouble");
    peer_.mend();
    expect(daemon_.alive(), &PeerFigures::deaths, what + ": " + daemon_.messages());
    const long used = daemon_.used("quota", sender);
    expect(used == sent.accepted(), &PeerFigures::miscounted,
           fmt::format("{}: {} are counted of {}", what, used, sent.accepted()));
    expect(in_order(), &PeerFigures::stuck, what + ": not in order; " + daemon_.trouble());
    figures.slowest = daemon_.slowest;
    figures.unanswered = daemon_.unanswered;
  }

  void end() override { expect(daemon_.stop() == 0, &PeerFigures::deaths, "status at its end: " + daemon_.messages()); }

 private:
  Visitor::Sent script(const std::string& sender) { return daemon_.message(sender, kMailboxes); }
  // The next dialogue is decided exactly.
  bool in_order() { return script("well@x.example").recipients == kRight && daemon_.trouble().empty(); }

  const Folder place_;
  FaultyPeer peer_;
  Visitor daemon_;
};

}  // namespace

std::unique_ptr<PeerPlay> dovecot_play(const std::string& binary) { return std::make_unique<DovecotPlay>(binary); }

}  // namespace replygate::test
