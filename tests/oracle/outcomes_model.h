#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "policy/base/time.h"

// Outcomes as conf/POLICY.md and conf/OPERATIONS.md tell of them, and nothing else: no code of replygate.
namespace replygate::oracle {

enum class Fate { delivered, deferred, bounced, blocked, failed };

struct Numbers {  // of the policy
  std::int64_t percent, floor, blocked, deferrals, deliveries, complaints;
  std::int64_t share_hours, limit_hours;
  std::int64_t dead_after, dead_hours;
  bool all;

  std::string policy() const;
};

struct Recipient {
  std::string address;
  bool final = false;
  bool delivered = false;
  bool deferred = false;
  bool complained = false;
};
struct Mail {
  std::string id, sender, ip;
  std::vector<Recipient> recipients;
  bool complained = false;  // somebody who is not named
};

class Model {
 public:
  explicit Model(const Numbers& n) : n_(n) {}

  // 0: it is let through; else the code. `before`: recipients of the same message that were kept.
  int answer(const Mail& mail, const std::string& to, Instant now, std::int64_t before) const;
  void accepted(const Mail& mail, Instant now);
  void becomes(const Mail& mail, Recipient& recipient, Fate fate, Instant now, bool forwarded);
  // By mail, of one that was addressed.
  void bounces_later(const Mail& mail, Recipient& recipient, Instant now);
  void complains(const Mail& mail, Recipient& recipient, Instant now);
  // Somebody whom the provider hides. Whether it counts.
  bool complains(Mail& mail, Instant now);

 private:
  // What the model knows of time: charges of one hundredth of a period leave together, a period after its end.
  struct Counted {
    std::string key;
    Instant at;
  };
  using All = std::vector<Counted>;
  static std::int64_t count_of(const All& all, const std::string& key, Instant now, std::int64_t hours);
  bool is_dead(const std::string& address, Instant now) const;
  void counts(All& all, const Mail& mail, Instant now, bool forwarded);

  Numbers n_;
  All sent_, hard_, blocked_, deferred_, delivered_, complained_;
  std::map<std::string, std::vector<Instant>> reported_;  // by address, since it last took mail
};

}  // namespace replygate::oracle
