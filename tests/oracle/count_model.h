#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/oracle/count_grey.h"
#include "tests/oracle/count_world.h"

namespace replygate::oracle::counts {

// What a client is told. Code 250: go on.
struct Told {
  int code = 250;
  std::string rule;
  bool for_good = false;    // the text is not known, only that it is one for good
  bool held = false;        // with 250
  bool greylisted = false;  // a time is told, and nothing else
  bool limited = false;     // used, limit and wait are told
  std::int64_t used = 0;
  bool or_more = false;  // beyond the limit the use is not told exactly
  std::string limit;
  bool waits = false;  // a time is told, of at least `wait`, and at most `late` more
  std::int64_t wait = 0;
  std::int64_t late = 0;
};

// Sessions and counters as conf/POLICY.md describes them, written from it alone: every charge is kept, and all is
// counted anew at each question.
class Model {
 public:
  explicit Model(const Policy& policy) : policy_(policy) {}

  // Acts that make no sense at that point (RCPT without MAIL) must not come; see may().
  Told act(const Act& act, std::int64_t now);
  bool may(const Act& act) const;

 private:
  struct Use {
    std::int64_t at;
    std::int64_t cost;
    std::string member;
  };
  struct Hold {
    int session;
    std::int64_t cost;
    std::string member;
  };
  struct Book {  // of one counter
    std::vector<Use> kept;
    std::vector<Hold> held;
  };
  struct Tokens {  // of a bucket
    std::int64_t taken = 0;
    std::int64_t since = 0;  // when it was full
  };
  struct Refusal {
    const Rule* rule = nullptr;
    Told told;
    std::string key;
    std::vector<Told> at_step;  // what is told before the first step of escalation, and at each of them
  };
  struct Verdict {
    std::vector<Refusal> refusal;  // one or none
    std::vector<const Rule*> observed;
    const Rule* accepted = nullptr;
  };
  struct Remembered {
    Verdict verdict;
    std::vector<Refusal> limited;   // for all but postmaster
    std::optional<Verdict> spared;  // for postmaster, where it is another one
  };
  struct Recipient {
    std::string address;
    bool mta_refused = false;
  };
  struct Rest {
    std::size_t before = SIZE_MAX;  // rules from here on are not asked
    bool held = false;
  };
  struct Message {
    std::string sender;
    std::string user;
    std::vector<Refusal> limited;
    std::optional<Verdict> spared;
    Rest rest;           // for all
    Rest of_others;      // for all but postmaster
    Rest of_postmaster;  // for postmaster alone
    std::int64_t kept = 0;
    std::int64_t others = 0;
    std::int64_t octets = 0;
    std::set<std::string> admitted;
    std::set<std::string> refused;
    std::map<std::string, std::int64_t> counts;  // "/ message"
    std::vector<std::pair<std::string, std::int64_t>> pending;
  };
  struct Session {
    std::string ip;
    std::string helo;
    bool greeted = false;
    Remembered said[2];
    std::set<std::string> admitted;
    std::set<std::string> refused;
    std::map<std::string, std::int64_t> counts;  // "/ session"
    bool in_message = false;
    Message message;
  };
  // One limit that a decision compares.
  struct Look {
    const Rule* rule;
    Cap cap;
    std::string counter;
    std::string member;
    std::int64_t used = 0;
    std::int64_t cost = 1;
    bool fits = true;
    bool charged = true;  // else it is only compared
  };

  std::optional<std::string> part(Part part, Point point, const Recipient* to) const;
  std::string pool(const Rule& rule) const;
  bool holds(const Rule& rule, Point point, const Recipient* to) const;
  std::optional<std::string> key(const Rule& rule, Point point, const Recipient* to) const;
  std::string counter(const Rule& rule, const Cap& cap, const std::string& key) const;
  std::int64_t used(const Cap& cap, const std::string& counter) const;
  bool contains(const Cap& cap, const std::string& counter, const std::string& member) const;
  std::int64_t room(const Look& look) const;
  static Tokens tokens_of(const Cap& cap, const std::vector<Use>& uses);
  void add_looks(const Rule& rule, Point point, const std::string& key, const Recipient* to, std::vector<Look>& looks);
  Told told_of(const Rule& rule, const std::vector<Look>& looks, const Step* step) const;
  std::size_t step_of(const Rule& rule, const std::string& key) const;
  void escalate(Verdict& verdict) const;
  Refusal refusal_of(const Rule& rule, const std::string& key, const std::vector<Look>& looks) const;
  std::optional<GreyBook::Look> see(const Rule& rule, Point point, const Recipient* to);
  bool is_before(std::size_t index, bool sparing) const;
  Verdict judge(Point point, const Recipient* to, bool limits, bool sparing);
  Remembered judge_sparing(Point point, bool limits);
  void charge(const std::vector<Look>& looks, const Verdict& verdict);
  void charge(const Look& look);
  void reply(const Verdict& verdict, Point point, const Recipient* to);
  void count_event(What what, const Rule* cause, Point point, const Recipient* to);
  void count_escalation(const Rule& rule, Point point, const Recipient* to);
  Told greet(Point point);
  Told mail(const Act& act);
  Told rcpt(const Act& act);
  Told finish(const Act& act);
  Told refuse_message(Verdict verdict, Point point);
  void end_message(bool accepted);
  void accept_by(const Rule* accepted, Point point, Rest& rest) const;
  void accept_by(const Verdict& verdict, Point point);
  void note(const Remembered& said, Point point);

  const Policy& policy_;
  std::map<std::string, Book> books_;
  GreyBook grey_;
  std::map<int, Session> sessions_;
  Session* s_ = nullptr;
  int id_ = 0;
  std::int64_t now_ = 0;
};

}  // namespace replygate::oracle::counts
