#!/usr/bin/env bash
# Runs every fuzz target for so many seconds, from its seeds, as many at once as there are cores: tests/fuzz/run.sh SECONDS.
# Needs the target "fuzzers" of the preset "asan". What it finds is left in build/asan/findings.
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:-60}
mkdir -p build/asan/findings

fuzz() {
  local target=$1 seconds=$2 name corpus log
  name=${target##*/fuzz_}
  corpus=build/asan/corpus/$name
  log=build/asan/fuzz_$name.log
  mkdir -p "$corpus"
  if ! "$target" -max_total_time="$seconds" -max_len=8192 -timeout=5 -rss_limit_mb=2048 -print_final_stats=1 \
    -artifact_prefix="build/asan/findings/$name-" "$corpus" "tests/fuzz/seeds/$name" >"$log" 2>&1; then
    tail -n 60 "$log"
    echo "fuzz_$name: a finding, see build/asan/findings"
    return 1
  fi
  echo "fuzz_$name: $(awk '/number_of_executed_units/ {print $2}' "$log") executions, no finding"
}
export -f fuzz

targets=(build/asan/tests/fuzz/fuzz_*)
[ -x "${targets[0]}" ] || { echo "fuzz/run.sh: no target is built in build/asan" >&2; exit 66; }
find build/asan/tests/fuzz -maxdepth 1 -name 'fuzz_*' -type f -executable -print0 | sort -z |
  xargs -0 -n 1 -P "$(nproc)" bash -c 'fuzz "$1" '"$seconds"' || exit 255' fuzz
