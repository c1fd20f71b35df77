# The stages that tests/run.sh plays. To be sourced.

reports=build/reports  # JUnit files of this run, and how long each stage took
rm -rf "$reports"
mkdir -p "$reports"

export ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=1 UBSAN_OPTIONS=print_stacktrace=1
export TSAN_OPTIONS="suppressions=$PWD/tests/tsan.supp halt_on_error=0 exitcode=66"
ASAN_SYMBOLIZER_PATH=/usr/lib/llvm-$(sed -n 's/^llvm=//p' packaging/dependencies.sh)/bin/llvm-symbolizer
export ASAN_SYMBOLIZER_PATH

# Private MTAs need root. The build stays with whoever calls.
as_root=()
[ "$(id -u)" = 0 ] ||
  as_root=(sudo --preserve-env=PATH,ASAN_OPTIONS,UBSAN_OPTIONS,TSAN_OPTIONS,ASAN_SYMBOLIZER_PATH,REPLYGATE_TRANSACTIONS,REPLYGATE_ORACLE_POLICIES,REPLYGATE_ORACLE_DIALOGUES)

background=""
stop_background() {
  if [ -n "$background" ]; then
    "${as_root[@]}" kill -TERM -- "-$background" 2>/dev/null || true
  fi
}
end() {
  local status=$?
  stop_background
  python3 tests/summary.py "$reports" || [ "$status" != 0 ] || status=1
  exit "$status"
}
trap end EXIT
trap 'exit 130' INT TERM

# timed NAME COMMAND…: what it took goes into the summary.
timed() {
  local name=$1 began=$SECONDS status=0
  shift
  step "$name"
  "$@" || status=$?
  echo "$((SECONDS - began)) $name" >>"$reports/stages"
  return "$status"
}

# tests PRESET REPORT ARGUMENT…: ctest as root, twice as many tests as cores, since those that compute count for two.
tests() {
  local preset=$1 report=$2
  shift 2
  "${as_root[@]}" ctest --test-dir "build/$preset" --output-on-failure --no-tests=error -j "$(($(nproc) * 2))" \
    --output-junit "$PWD/$reports/$report.xml" "$@"
}

# tests_or_again PRESET REPORT ARGUMENT…: what fails beside others, on a machine that has no time, is tried once more by
# itself; the summary names it all the same. A sanitizer's finding has no second try.
tests_or_again() {
  local preset=$1 report=$2 failed
  tests "$@" && return
  failed=$(python3 tests/summary.py "$reports" --failed "$report") || return 1
  step "once more, by itself: $failed"
  "${as_root[@]}" ctest --test-dir "build/$preset" --output-on-failure --no-tests=error \
    --output-junit "$PWD/$reports/$report-again.xml" -R "^($failed)\$"
}

# begin NAME COMMAND…: runs it beside what follows; finish waits for it, and shows what it said. What is in the background
# cannot ask for a password.
begin() {
  [ "${#as_root[@]}" = 0 ] || sudo -v
  background_name=$1 background_began=$SECONDS
  shift
  step "$background_name, beside what follows"
  set -m
  "$@" >"$reports/background.log" 2>&1 </dev/null &
  background=$!
  set +m
}
finish() {
  local status=0
  step "waiting for $background_name"
  wait "$background" || status=$?
  background=""
  echo "$((SECONDS - background_began)) $background_name (beside others)" >>"$reports/stages"
  cat "$reports/background.log"
  return "$status"
}

# compile PRESET [TARGET…]: what is configured already.
compile() {
  build_targets "$@" | tee "$reports/build.log" || return
  # An object from the cache may have been made where warnings are none; what it said then is said again. Without its
  # log ninja asks for all objects the next time, too.
  if grep -q 'warning:' "$reports/build.log"; then
    rm -f "build/$1/.ninja_log"
    echo "warnings are errors" >&2
    return 1
  fi
}

build() {
  configure_preset "$1" -DBUILD_TESTING=ON || return
  compile "$@"
}

stage_release() {
  local good=true
  timed "packages" packaging/dependencies.sh build test mta
  timed "building what real MTAs meet (release)" build release mta
  begin "tests with real MTAs" tests_or_again release mta -L mta
  timed "building the tests (release)" compile release
  timed "units, store contract, broken policies, documentation" tests_or_again release unit -L 'unit|docs' || good=false
  finish || good=false
  "$good"
}

# Ratios to look at, not to judge: machines have other things to do.
stage_bench() { timed "replygate beside the bare protocol" tests/bench/run.sh --short; }

stage_goals() {
  timed "building the goals (release)" build release goals
  timed "reliability goals" tests release goals -L fault
}

# Sanitizers are slow: fewer random transactions, policies and dialogues.
few_transactions() {
  local -x REPLYGATE_TRANSACTIONS=10000 REPLYGATE_ORACLE_POLICIES=1000 REPLYGATE_ORACLE_DIALOGUES=200
  "$@"
}

stage_asan() {
  timed "packages for sanitizers" packaging/dependencies.sh sanitizers
  timed "building (ASan, UBSan)" build asan all goals fuzzers
  timed "units (ASan, UBSan)" few_transactions tests asan asan -L unit
  timed "reliability goals (ASan, UBSan)" \
    timeout 900 build/asan/tests/fault_goals build/asan/replygate --loose G6 G8 G20 G23 G24 G25 G26 G29 G32
}

# What has threads.
stage_tsan() {
  timed "building (TSan)" build tsan replygate threads fault_goals
  timed "units with threads (TSan)" few_transactions tests tsan tsan -L threads
  timed "reliability goals (TSan)" \
    timeout 900 build/tsan/tests/fault_goals build/tsan/replygate --loose G5 G6 G9 G10 G20 G26
}

stage_asan_mta() { timed "real MTAs (ASan, UBSan)" tests asan asan_mta -L mta; }
stage_tsan_mta() {
  timed "building what real MTAs meet (TSan)" build tsan mta
  timed "real MTAs (TSan)" tests tsan tsan_mta -L mta
}

stage_fuzz() { timed "fuzzing, 10 seconds each" tests/fuzz/run.sh 10; }
stage_fuzz_long() { timed "fuzzing, 10 minutes each" tests/fuzz/run.sh 600; }

stage_tidy() {
  timed "packages for clang-tidy" packaging/dependencies.sh tidy
  timed "clang-tidy" tests/lint.sh tidy
}

stage_goals_in_full() { timed "reliability goals in full" tests/fault/run.sh full; }

# Needs the release build.
stage_oracles_in_full() {
  local built=build/release/tests
  timed "100,000 dialogues against the model of counting" "$built/counts_oracle" 100000
  timed "1,000,000 policies against their proofs" "$built/proof_oracle" 1000000
  timed "files that fail at every call" "$built/file_faults" build/release/replygate "$built/libfaulty_files.so" 1
  timed "peers that fail at every answer" "$built/peer_faults" build/release/replygate 1
  timed "1,000 power cuts" env REPLYGATE_POWER_CUTS=1000 "$built/host_faults_test" "--gtest_filter=*PowerCut*"
}

# Several sources are compiled in one go elsewhere: here each shows that it includes what it uses.
stage_separate() { timed "building each source by itself (debug)" build debug replygate; }

stage_only() {
  timed "packages" packaging/dependencies.sh build test mta
  timed "building (release)" build release all goals
  timed "tests that match $1" tests release only -R "$1"
}

stage_changed() {
  local names
  timed "packages" packaging/dependencies.sh build test mta
  timed "building (release)" build release
  names=$(python3 tests/changed.py build/release)
  if [ -z "$names" ]; then
    step_done "nothing that a test depends on has changed since main"
    return
  fi
  timed "what depends on the change" tests release changed -R "^($names)\$"
}
