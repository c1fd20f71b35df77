#!/usr/bin/env bash
# Runs every fuzz target for so many seconds, from its seeds: tests/fuzz/run.sh SECONDS. Needs the preset "fuzz" built.
# What it finds is left in build/fuzz/findings.
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:-60}
mkdir -p build/fuzz/findings
for target in build/fuzz/tests/fuzz/fuzz_*; do
  [ -x "$target" ] && [ -f "$target" ] || continue
  name=${target##*/fuzz_}
  corpus=build/fuzz/corpus/$name
  mkdir -p "$corpus"
  "$target" -max_total_time="$seconds" -max_len=8192 -timeout=5 -rss_limit_mb=2048 -print_final_stats=1 \
    -artifact_prefix="build/fuzz/findings/$name-" "$corpus" "tests/fuzz/seeds/$name" >"build/fuzz/$name.log" 2>&1 ||
    { tail -n 60 "build/fuzz/$name.log"; echo "fuzz_$name: a finding, see build/fuzz/findings"; exit 1; }
  echo "fuzz_$name: $(awk '/number_of_executed_units/ {print $2}' "build/fuzz/$name.log") executions, no finding"
done
