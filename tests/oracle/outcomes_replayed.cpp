#include "tests/oracle/outcomes_replayed.h"

#include "milter/outcome/past_records.h"
#include "policy/scenario/replayer.h"

namespace replygate::oracle {
namespace {

class Codes final : public Replayer::Listener {
 public:
  void replayed(const Replayed& r) override { codes.push_back(r.now.code); }
  std::vector<int> codes;
};

}  // namespace

std::vector<int> replayed(const std::vector<std::string>& history, const std::shared_ptr<const Policy>& policy) {
  Codes told;
  Replayer replayer(policy, ignorance_of({"history", {}}, true).beyond, {}, told);
  for (const std::string& line : history) {
    if (auto outcome = past_outcome_of_record(line)) {
      replayer.play(*std::move(outcome));
    } else if (auto past = past_of_record(line)) {
      replayer.play(*std::move(past));
    }
  }
  replayer.finish();
  return told.codes;
}

}  // namespace replygate::oracle
