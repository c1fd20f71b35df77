#!/usr/bin/env bash
# Builds what it compares, and prints what replygate costs beside filters that do nothing; README.md says how to read it.
#   tests/bench/run.sh                     the table, and build/bench.json with the commit
#   tests/bench/run.sh --markdown          the same, put into README.md
#   tests/bench/run.sh --compare FILE      the same, and what got dearer since FILE was written
#   tests/bench/run.sh --short             two columns, two filters, one round, in less than a minute
#   tests/bench/run.sh --peers             rspamd and mailfromd, too
#   tests/bench/run.sh --help              what else there is
set -euo pipefail
cd "$(dirname "$0")/../.."
. packaging/progress.sh
step "building what is compared"
configure_preset release -DBUILD_TESTING=ON
parts=(decide_bench store_bench)
[[ " $* " != *" --short "* ]] || parts=()
build_targets release replygate bare_filter empty_filter milter_load "${parts[@]}"
step "measuring"
python3 -u tests/bench/compare_filters.py "$@" | count_steps
