#pragma once

#include <map>
#include <memory>
#include <string>

#include "policy/decide/session.h"
#include "tests/oracle/count_world.h"
#include "tests/support/wire.h"

namespace replygate::oracle::counts {

// Where acts are played. Each gives the refusal as "451 4.7.1 text", or "" for go on.
class Stage {
 public:
  Stage() = default;
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;
  virtual ~Stage() = default;
  virtual std::string act(const Act& act, Instant now) = 0;
};

// Sessions of this process around a store, which may answer on a thread of its own.
class SessionStage final : public Stage {
 public:
  // The store outlives it.
  SessionStage(std::shared_ptr<const replygate::Policy> policy, Store& store)
      : policy_(std::move(policy)), gate_(store) {}
  std::string act(const Act& act, Instant now) override;

 private:
  template <typename Event>
  std::string ask(Event event);
  std::string finish(Session& session, std::int64_t octets, Instant now);

  std::shared_ptr<const replygate::Policy> policy_;
  Gate gate_;
  NoRecords sink_;
  References references_{1};
  std::map<int, std::unique_ptr<Session>> sessions_;
};

// A daemon behind its milter socket; its clock is its own.
class WireStage final : public Stage {
 public:
  explicit WireStage(std::string address) : address_(std::move(address)) {}
  // Returns once the daemon has done what is asked, so that what one session gives back is there for the next.
  std::string act(const Act& act, Instant now) override;

 private:
  void leave(int session);
  std::string ask(int session, const std::string& packets);
  std::string finish(int session, std::int64_t octets);

  std::string address_;
  std::map<int, test::WireClient> clients_;
};

}  // namespace replygate::oracle::counts
