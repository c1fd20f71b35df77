#pragma once

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace replygate::test {

// What a peer does instead of an answer, or with it.
enum class PeerFault : std::uint8_t {
  late,     // behind the asker's deadline
  cut,      // half of it, then the end
  doubled,  // twice
  garbage,  // octets that are no answer
  closed,   // the end, though what was asked was heard
  unheard,  // the end, and nothing was heard
  idle      // the answer, then the end
};
inline constexpr std::array kPeerFaults = {PeerFault::late,    PeerFault::cut,    PeerFault::doubled,
                                           PeerFault::garbage, PeerFault::closed, PeerFault::unheard,
                                           PeerFault::idle};
std::string_view name_of(PeerFault fault);

// One connection of a peer that is well.
class Conversation {
 public:
  Conversation() = default;
  Conversation(const Conversation&) = delete;
  Conversation& operator=(const Conversation&) = delete;
  virtual ~Conversation() = default;

  virtual std::string greeting() { return ""; }
  // Takes the request that `in` begins with, and gives its answer, "" for none; nothing where it is not whole yet.
  virtual std::optional<std::string> answer(std::string& in) = 0;
};

// A server whose answers are counted over all its connections; some of them fail. Any thread.
class FaultyPeer {
 public:
  using Begin = std::function<std::unique_ptr<Conversation>()>;

  FaultyPeer(int listener, Begin begin);  // owns the listening socket
  ~FaultyPeer();
  FaultyPeer(const FaultyPeer&) = delete;
  FaultyPeer& operator=(const FaultyPeer&) = delete;

  // From the answer `first` on, 1 for the next one, so many fail.
  void spoil(PeerFault fault, long first, long count, std::chrono::milliseconds delay);
  void mend() { spoil(PeerFault::late, 0, 0, {}); }
  void hang_up();        // on all who are connected
  long answers() const;  // until now
  bool spoilt() const;   // whether an answer has failed since spoil()

 private:
  std::optional<PeerFault> fault_at(long number);
  void accept();
  void serve(int peer);
  bool talk(int peer, Conversation& conversation, std::string& in);
  bool deliver(int peer, const std::string& answer);
  bool wait();

  const int listener_;
  const Begin begin_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  // Guarded by mutex_.
  PeerFault fault_ = PeerFault::late;
  long first_ = 0;
  long last_ = 0;  // not any more
  long plans_ = 0;
  std::chrono::milliseconds delay_{};
  long answers_ = 0;
  bool spoilt_ = false;
  bool stopping_ = false;
  std::set<int> peers_;
  std::vector<std::thread> threads_;

  std::thread accepting_;
};

// A listening socket at a port of 127.0.0.1 that is free.
struct ListeningPort {
  int descriptor;
  int port;
};
ListeningPort listen_tcp();

}  // namespace replygate::test
