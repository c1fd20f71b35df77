#include "milter/serve/outcome_statistics.h"

namespace replygate {
namespace {

constexpr std::size_t kMostKinds = 250;
constexpr const char* kOtherProviders = "(other)";

}  // namespace

void OutcomeStatistics::hear(const MailOutcome& o) {
  const bool fine = o.kind == OutcomeKind::delivered;
  const ReasonInfo& reason = info_of(o.explained.reason);
  Kind kind(to_string(o.kind), fine ? "" : std::string(reason.slug), fine ? "" : std::string(reason.classification),
            o.explained.provider.empty() ? kOtherProviders : std::string(o.explained.provider));
  const std::lock_guard lock(mutex_);
  if (figures_.size() >= kMostKinds && !figures_.contains(kind)) std::get<3>(kind) = kOtherProviders;
  ++figures_[std::move(kind)];
}

OutcomeStatistics::Figures OutcomeStatistics::figures() const {
  const std::lock_guard lock(mutex_);
  return figures_;
}

}  // namespace replygate
