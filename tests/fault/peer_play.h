#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "tests/fault/faulty_peer.h"

namespace replygate::test {

// What came of the turns of one peer; each figure is to be 0 but the first and the last.
struct PeerFigures {
  long turns = 0;
  long deaths = 0;
  long unanswered = 0;  // commands, or a control socket that is silent
  long wrong = 0;       // answers that are neither right nor what the policy says of what cannot be known
  long miscounted = 0;
  long silent = 0;  // trouble that was not shown
  long stuck = 0;   // not in order though the peer was
  double slowest = 0;
  std::string first;  // of what went wrong
};

// A daemon and a peer of it, which fails at one answer after the other of one script.
class PeerPlay {
 public:
  PeerPlay() = default;
  PeerPlay(const PeerPlay&) = delete;
  PeerPlay& operator=(const PeerPlay&) = delete;
  virtual ~PeerPlay() = default;

  virtual long answers() = 0;  // of the script while the peer is well
  // `lasting`: all further answers fail, too, until the end of the script.
  virtual void turn(PeerFault fault, long answer, bool lasting) = 0;
  virtual void end() {}

  PeerFigures figures;

 protected:
  void expect(bool good, long PeerFigures::* figure, const std::string& what) {
    if (good) return;
    ++(figures.*figure);
    if (figures.first.empty()) figures.first = what;
  }
};

std::unique_ptr<PeerPlay> redis_play(const std::string& binary);
std::unique_ptr<PeerPlay> dovecot_play(const std::string& binary);
std::unique_ptr<PeerPlay> mail_note_play();
std::unique_ptr<PeerPlay> webhook_note_play();
std::unique_ptr<PeerPlay> mta_play(const std::string& binary);

}  // namespace replygate::test
