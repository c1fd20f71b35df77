#include "milter/serve/outcome_trouble.h"

#include "milter/outcome/outcome_reader.h"

namespace replygate {
namespace {

constexpr std::chrono::minutes kLongestRotation{1};

}  // namespace

std::string lasting_outcome_trouble(const Troubles& troubles) {
  for (const Troubles::Trouble& trouble : troubles.all()) {
    const bool of_outcomes = trouble.of == kOfOutcomes || trouble.of == kOfOutcomeFile;
    if (of_outcomes && trouble.lasting >= kLongestRotation) return trouble.what;
  }
  return "";
}

}  // namespace replygate
