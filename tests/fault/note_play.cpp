// A notifier whose mail server, or web server, is faulty.

#include <fmt/format.h>

#include <atomic>
#include <utility>

#include "milter/serve/notifier.h"
#include "tests/fault/peer_play.h"
#include "tests/fault/peers.h"
#include "tests/support/eventually.h"

namespace replygate::test {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kPatience{100};
constexpr milliseconds kBehindPatience{300};
constexpr milliseconds kBetweenAttempts{1};

// Counts the messages that it has taken.
class MailServer final : public Conversation {
 public:
  explicit MailServer(std::atomic<long>& taken) : taken_(taken) {}
  std::string greeting() override { return "220 mx.example.org\r\n"; }
  std::optional<std::string> answer(std::string& in) override {
    const std::string_view end = content_ ? "\r\n.\r\n" : "\r\n";
    const std::size_t size = in.find(end);
    if (size == std::string::npos) return std::nullopt;
    const std::string line = in.substr(0, size);
    in.erase(0, size + end.size());
    if (std::exchange(content_, line == "DATA")) {
      ++taken_;
      return "250 2.0.0 queued\r\n";
    }
    if (content_) return "354 go ahead\r\n";
    if (line == "QUIT") return "221 bye\r\n";
    return line.starts_with("EHLO") ? "250-mx.example.org\r\n250-PIPELINING\r\n250 SIZE\r\n" : "250 ok\r\n";
  }

 private:
  std::atomic<long>& taken_;
  bool content_ = false;
};

class WebServer final : public Conversation {
 public:
  explicit WebServer(std::atomic<long>& taken) : taken_(taken) {}
  std::optional<std::string> answer(std::string& in) override {
    if (!in.ends_with('}')) return std::nullopt;
    in.clear();
    ++taken_;
    return "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
  }

 private:
  std::atomic<long>& taken_;
};

// One note a turn: the store is in trouble, or mended. At the answer `taking` a server says that it has taken one.
template <typename Server>
class NotePlay final : public PeerPlay {
 public:
  NotePlay(int listener, NotifySettings settings, long taking)
      : taking_(taking), peer_(listener, [this] { return std::make_unique<Server>(taken_); }) {
    settings.on = {NotifySettings::Event::store};
    settings.pause = std::chrono::seconds(0);
    settings.most_per_hour = 1'000'000;
    settings.from = "replygate@example.org";
    notifier_ = std::make_unique<Notifier>(settings, note_carriers(settings, own_, kPatience), health_,
                                           Notifier::Pauses{.attempts = kBetweenAttempts, .look = milliseconds(1)});
    notifier_->start();
  }

  long answers() override {
    const long before = peer_.answers();
    note();
    return peer_.answers() - before;
  }

  void turn(PeerFault fault, long answer, bool lasting) override {
    const std::string what = fmt::format("{} at answer {}{}", name_of(fault), answer, lasting ? " and on" : "");
    const Notifier::Figures before = notifier_->figures();
    const long taken_before = taken_;
    peer_.spoil(fault, answer, lasting ? 1'000'000 : 1, kBehindPatience);
    expect(note(), &PeerFigures::unanswered, what + ": neither sent nor given up");
    const Notifier::Figures after = notifier_->figures();
    const long came = taken_ - taken_before;
    if (after.failed == before.failed) {
      // Once: but where it was taken, and that was not said, it comes once more.
      expect(came >= 1 && (came == 1 || answer == taking_), &PeerFigures::miscounted,
             fmt::format("{}: a note came {} times", what, came));
    } else {
      expect(lasting, &PeerFigures::wrong, what + ": a note is lost by one fault");
      expect(!after.trouble.empty(), &PeerFigures::silent, what + ": no trouble");
    }
    peer_.mend();
    expect(note() && notifier_->figures().trouble.empty(), &PeerFigures::stuck, what + ": not in order");
  }

  void end() override {
    const auto begin = now();
    notifier_->stop();
    figures.slowest = seconds_since(begin);
  }

 private:
  long over() const {
    const Notifier::Figures f = notifier_->figures();
    return static_cast<long>(f.sent + f.failed);
  }
  // Whether it came to an end, one way or the other.
  bool note() {
    const long before = over();
    health_.good() ? health_.failed("a fault", "nothing") : health_.recovered();
    return eventually([&] { return over() > before; });
  }

  const long taking_;
  std::atomic<long> taken_ = 0;
  OwnConnections own_;
  StoreHealth health_;
  FaultyPeer peer_;
  std::unique_ptr<Notifier> notifier_;
};

}  // namespace

std::unique_ptr<PeerPlay> mail_note_play() {
  const ListeningPort at = listen_tcp();
  NotifySettings settings;
  settings.to = {"admin@example.org"};
  settings.smtp = fmt::format("inet:{}@127.0.0.1", at.port);
  return std::make_unique<NotePlay<MailServer>>(at.descriptor, settings, 6);
}

std::unique_ptr<PeerPlay> webhook_note_play() {
  const ListeningPort at = listen_tcp();
  NotifySettings settings;
  settings.webhook = fmt::format("http://127.0.0.1:{}/note", at.port);
  return std::make_unique<NotePlay<WebServer>>(at.descriptor, settings, 1);
}

}  // namespace replygate::test
