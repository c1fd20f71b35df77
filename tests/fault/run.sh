#!/usr/bin/env bash
# Plays the reliability goals on the engine asio and prints a line a figure: id, figure, limit, pass or FAIL; then the
# goals on hostile input under ASan and UBSan, and on all dialogues through both engines.
#   tests/fault/run.sh              short forms, a few minutes
#   tests/fault/run.sh full         the whole tests, about half an hour
#   tests/fault/run.sh full G5 G21  these alone, release build
set -euo pipefail
cd "$(dirname "$0")/../.."
form=()
dialogues=2000
if [ "${1:-}" = full ]; then
  form=(--full)
  dialogues=100000
  shift
fi

build() {
  cmake --preset "$1" -DBUILD_TESTING=ON >/dev/null
  cmake --build --preset "$1" -j "$(nproc)" --target replygate fault_goals differential_test >/dev/null
}

build release
build/release/tests/fault_goals build/release/replygate "${form[@]}" "$@"
[ $# = 0 ] || exit 0
REPLYGATE_DIALOGUES=$dialogues build/release/tests/differential_test 2>/dev/null | grep dialogues
echo "under ASan and UBSan:"
build asan
export ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=1 UBSAN_OPTIONS=print_stacktrace=1
build/asan/tests/fault_goals build/asan/replygate --loose "${form[@]}" G20 G32
