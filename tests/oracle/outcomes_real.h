#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "milter/outcome/dead_list.h"
#include "milter/outcome/outcome_ledger.h"
#include "policy/count/store_memory.h"
#include "policy/decide/session.h"
#include "tests/oracle/outcomes_model.h"
#include "tests/support/hand_clock.h"

namespace replygate::oracle {

// The real parts, as the daemon puts them together, and the history that they write.
class Real {
 public:
  Real(const Numbers& numbers, StatusBook& book);

  // The codes of the recipients; what is kept goes to the file.
  std::vector<int> send(const Mail& mail, Instant now);
  void line(const std::string& line, Instant now);
  // By mail. `complaint`: else it did not exist.
  void report(const std::string& id, const std::string& recipient, bool complaint, Instant now);
  // After a kill: some lines are read again, known as such or not, and what was counted last is counted again.
  void restart(std::size_t again, bool known, Instant now);

  const std::vector<std::string>& history() const { return records_.lines; }
  const std::shared_ptr<const Policy>& policy() const { return policy_; }

 private:
  class Records final : public RecordSink {
   public:
    void write(Record record) override;
    std::optional<Record> last;
    std::vector<std::string> lines;
  };

  void begin_anew();
  void take(const std::pair<std::string, Instant>& line, bool again, Instant now);
  void count(std::deque<MailOutcome> outcomes, Instant now);
  void note_dead(const MailOutcome& outcome);

  std::shared_ptr<const Policy> policy_;
  StatusBook& book_;
  std::string aside_;
  std::unique_ptr<OutcomeDatabase> db_;
  test::HandClock clock_;
  std::unique_ptr<DeadList> dead_;
  std::unique_ptr<OutcomeFile> file_;
  std::unique_ptr<OutcomeLedger> ledger_;
  MemoryStore store_;
  Gate gate_{store_};
  References references_{1};
  Records records_;
  std::vector<std::pair<std::string, Instant>> lines_;
  std::vector<std::pair<std::vector<Charge>, Instant>> charged_;
};

}  // namespace replygate::oracle
