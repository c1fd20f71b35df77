#include "milter/cli/setup.h"

#include <fmt/format.h>

#include "milter/cli/load_failure.h"
#include "milter/cli/policy_at_hand.h"
#include "milter/files.h"
#include "milter/log/say.h"

namespace replygate {

tl::expected<void, std::string> keep_before(const std::string& file) {
  std::string why;
  const auto text = read_file(file, why);
  if (!text) return tl::unexpected(fmt::format("{}: {}", file, why));
  const std::string kept = file + ".before-replygate";
  if (auto done = replace_file(kept, *text, file); !done) return done;
  say(fmt::format("the old {} is kept as {}", file, kept));
  return {};
}

int say_what_is_left(const Symptoms& symptoms, std::string_view mta) {
  bool good = true;
  for (const Symptom& symptom : symptoms) {
    if (symptom.level == Symptom::Level::fine) continue;
    good = false;
    fmt::print("{}\n  fix: {}\n", symptom.what, symptom.mend);
  }
  if (good) fmt::print("{} asks replygate as the policy needs it\n", mta);
  return good ? kFine : kFound;
}

// What has to be taken back needs no policy that is whole.
int setup_command(const SetupOptions& options) {
  const PolicyAtHand hand = policy_at_hand(options.file);
  if (!hand.whole() && !options.remove) {
    print_diagnostics(hand.loaded.diagnostics, hand.loaded.sources);
    return status_of_failure(hand.loaded.diagnostics);
  }
  return options.mta == "postfix" ? setup_postfix(options, *hand.policy) : setup_sendmail(options, *hand.policy);
}

}  // namespace replygate
