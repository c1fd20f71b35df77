#include "milter/serve/outcome_trouble.h"

#include "milter/outcome/outcome_reader.h"

namespace replygate {
namespace {

constexpr std::chrono::minutes kLongestRotation{1};

}  // namespace

std::string lasting_outcome_trouble(const Troubles& troubles) {
  for (const Troubles::Trouble& trouble : troubles.all()) {
    if (trouble.of == kOfOutcomes && trouble.lasting >= kLongestRotation) return trouble.what;
  }
  return "";
}

}  // namespace replygate
