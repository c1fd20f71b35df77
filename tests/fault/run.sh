#!/usr/bin/env bash
# Plays the reliability goals on the engine asio and prints a line a figure: id, figure, limit, pass or FAIL; then the
# goals on hostile input under ASan and UBSan, and on all dialogues through both engines.
#   tests/fault/run.sh              short forms, a few minutes
#   tests/fault/run.sh full         the whole tests, about half an hour
#   tests/fault/run.sh full G5 G21  these alone, release build
#   tests/fault/run.sh full G4 G6 G24 G25 G26 G27 G29 G30  what an admin trusts the service for
set -euo pipefail
cd "$(dirname "$0")/../.."
. packaging/progress.sh
form=()
dialogues=2000
if [ "${1:-}" = full ]; then
  form=(--full)
  dialogues=100000
  shift
fi

build() {
  step "building ($1)"
  configure_preset "$1" -DBUILD_TESTING=ON
  build_targets "$1" replygate fault_goals differential_test
}

# Goals that are programs of their own; the first two need root.
scripts() {
  export REPLYGATE=$PWD/build/release/replygate PATH=$PATH:/usr/sbin:/sbin
  for id in "$@"; do
    case $id in
      G4) python3 tests/fault/g4_killed.py "${form[@]}" ;;
      G24) python3 tests/fault/g24_smtp.py "${form[@]}" ;;
      G26 | G30) python3 tests/fault/g30_hardening.py "$REPLYGATE" packaging/systemd/replygate.service ;;
      G27) configure_preset asan -DBUILD_TESTING=ON && build_targets asan fuzzers && tests/fuzz/run.sh "$([ "${#form[@]}" = 0 ] && echo 20 || echo 60)" ;;
    esac
  done
}

build release
if [ $# != 0 ]; then
  build/release/tests/fault_goals build/release/replygate "${form[@]}" "$@"
  scripts "$@"
  exit 0
fi
build/release/tests/fault_goals build/release/replygate "${form[@]}"
scripts G4 G24 G30
REPLYGATE_DIALOGUES=$dialogues build/release/tests/differential_test 2>/dev/null | grep dialogues
echo "under ASan and UBSan:"
build asan
export ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=1 UBSAN_OPTIONS=print_stacktrace=1
build/asan/tests/fault_goals build/asan/replygate --loose "${form[@]}" G20 G32
