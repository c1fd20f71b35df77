#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "milter/clock.h"
#include "milter/current_policy.h"
#include "milter/guarded.h"
#include "milter/last_good.h"
#include "milter/log/troubles.h"
#include "milter/lookup/list_watch.h"

namespace replygate {

// Which policy serves, and how it comes to be another one: by a reload, by a list that changes, by a raised limit. An
// exchange is atomic; sessions end with the policy that they began with. Any thread; changes come one at a time.
class PolicyKeeper {
 public:
  struct State {
    Instant since{};         // the present policy serves
    bool last_good = false;  // it is not the one in the file, which has mistakes
    std::string trouble;     // why the file was not taken last time; "": it was
    std::int64_t reloads = 0;
    std::int64_t failures = 0;
    std::vector<std::string> waiting;  // sections that differ in the file and take a restart
  };
  // What a reload has led to.
  struct Outcome {
    bool taken = false;
    std::string id;       // of the policy that serves now
    std::string message;  // errors, warnings and failed tests, for people; "" for none
    std::vector<std::string> waiting;
  };

  // `folder`: where the last good policy and raised limits are kept, unless the policy has its counters elsewhere.
  // `troubles` hears of lists that cannot be taken, and of what cannot be kept.
  PolicyKeeper(std::string file, std::string folder, const Clock& clock, Troubles& troubles);
  ~PolicyKeeper() { stop(); }
  PolicyKeeper(const PolicyKeeper&) = delete;
  PolicyKeeper& operator=(const PolicyKeeper&) = delete;

  // The policy in the file, or else the last good one; stderr says what is wrong, and has a line for each warning. On
  // failure the exit status.
  tl::expected<std::shared_ptr<const Policy>, int> load_first();
  CurrentPolicy& current() { return *current_; }  // after load_first()

  // `changed` is called behind each change of what state() says, on the thread that changes it. Before start().
  void tell(std::function<void()> changed) { changed_ = std::move(changed); }

  // Looks at lists every second from now on, on a thread of its own, and tries again to keep what could not be kept.
  void start();
  void stop();

  // Reads the file and all that it names anew. One that is in error, or whose tests fail, changes nothing.
  Outcome reload();
  // Grants more room, or with a percent of 100 no more than the policy says. On failure the reason, for people.
  tl::expected<void, std::string> raise(Raise raise);

  State state() const;
  const std::string& file() const { return file_; }
  const std::string& folder() const { return folder_; }  // after load_first(); stays

 private:
  // A policy that may serve, or what is wrong with it.
  struct Candidate {
    std::unique_ptr<ListWatch> lists;
    std::shared_ptr<const Policy> policy;  // null where something is wrong
    std::string message;
    std::string warnings;  // of a policy that may serve, a line each
    std::string trouble;   // the first thing that is wrong, in a line
    bool unreadable = false;
  };

  Candidate read() const;
  std::shared_ptr<const Policy> first_policy(Candidate& candidate);
  void take(std::shared_ptr<const Policy> policy);
  Outcome reload_now();
  void look_at_lists();
  std::string keep(const PolicyTexts& texts);

  const std::string file_;
  std::string folder_;
  const Clock& clock_;
  Troubles& troubles_;
  std::function<void()> changed_ = [] {};
  std::unique_ptr<CurrentPolicy> current_;
  std::shared_ptr<const Policy> first_;  // whose settings the daemon was set up with

  std::mutex changing_;
  // Guarded by changing_.
  std::unique_ptr<ListWatch> lists_;  // null while the last good policy serves
  Raises raises_;
  bool raises_read_ = true;  // what was raised before is known
  bool kept_ = true;         // the policy that serves is the last good one on disk
  bool has_folder_ = false;  // for that; where there never was one nothing is kept

  mutable std::mutex mutex_;
  // Guarded by mutex_.
  State state_;

  std::unique_ptr<Ticker> watch_;
};

}  // namespace replygate
