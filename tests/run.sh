#!/usr/bin/env bash
# Installs what is needed, builds, and runs every test: units, store contract, broken policies, documentation, both
# engines against each other, real Postfix and real Sendmail with each, reliability goals in their short forms; then the
# units under ASan+UBSan and TSan, most MTA tests and attacks under them too, and short fuzzing.
#   tests/run.sh           everything
#   tests/run.sh release   the release build alone
#   tests/run.sh long      everything, clang-tidy, the reliability goals in full, and ten minutes for each fuzz target
set -euo pipefail
cd "$(dirname "$0")/.."
what=${1:-all}
jobs=$(nproc)

packaging/dependencies.sh build mta tidy

build() {
  cmake --preset "$1" -DBUILD_TESTING=ON >/dev/null
  cmake --build --preset "$1" -j "$jobs"
}

# Private MTAs need root. The build stays with whoever calls.
as_root=()
[ "$(id -u)" = 0 ] || as_root=(sudo --preserve-env=PATH)

echo "== release"
build release
"${as_root[@]}" ctest --test-dir build/release --output-on-failure
[ "$what" = release ] && exit 0

echo "== ASan and UBSan"
build asan
"${as_root[@]}" env REPLYGATE_TRANSACTIONS=10000 ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=1 UBSAN_OPTIONS=print_stacktrace=1 \
  ctest --test-dir build/asan --output-on-failure -L 'unit|mta' -E 'relay|libmilter_(addresses|replies|language)'
build/asan/tests/fault_goals build/asan/replygate --loose G6 G8 G20 G23 G24 G25 G26 G29 G32

echo "== TSan"
build tsan
"${as_root[@]}" env REPLYGATE_TRANSACTIONS=10000 TSAN_OPTIONS="suppressions=$PWD/tests/tsan.supp halt_on_error=0 exitcode=66" \
  ctest --test-dir build/tsan --output-on-failure -L 'unit|mta' -E 'relay|addresses|libmilter_(replies|language)'
TSAN_OPTIONS="suppressions=$PWD/tests/tsan.supp exitcode=66" \
  build/tsan/tests/fault_goals build/tsan/replygate --loose G5 G6 G9 G10 G20 G26

echo "== fuzzing"
build fuzz
seconds=20
if [ "$what" = long ]; then
  seconds=600
  tests/lint.sh tidy
  tests/fault/run.sh full
fi
tests/fuzz/run.sh "$seconds"
