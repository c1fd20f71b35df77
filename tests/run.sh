#!/usr/bin/env bash
# Installs what is needed, builds, and runs the tests. Says at the end what took longest.
#   tests/run.sh                 the release build: units, store contract, broken policies, documentation, both engines
#                                against each other and with real Postfix and real Sendmail
#   tests/run.sh ci              the same, what replygate costs beside the bare protocol, then units and attacks under ASan+UBSan,
#                                what has threads under TSan, short fuzzing
#   tests/run.sh all             the same, the reliability goals, and real MTAs under both sanitizers
#   tests/run.sh long            all, clang-tidy, the reliability goals and the oracles in full, ten minutes for each fuzz target
#   tests/run.sh --only REGEX    the tests whose name matches (ctest -N --test-dir build/release lists them)
#   tests/run.sh --changed       the tests that depend on what has changed since main
set -euo pipefail
cd "$(dirname "$0")/.."

case ${1:-} in
  "" | release) stages=(release) ;;
  ci) stages=(release bench asan tsan fuzz) ;;
  all) stages=(release bench goals separate asan asan_mta tsan tsan_mta fuzz) ;;
  long) stages=(release bench goals separate asan asan_mta tsan tsan_mta tidy goals_in_full oracles_in_full fuzz_long) ;;
  --only) stages=(only); : "${2:?tests/run.sh --only REGEX}" ;;
  --changed) stages=(changed) ;;
  *)
    sed -n 's/^#   //p' "$0" >&2
    exit 64
    ;;
esac

. packaging/progress.sh
. tests/stages.sh
for stage in "${stages[@]}"; do
  "stage_$stage" "${2:-}"
done
