#!/usr/bin/env bash
# What a transaction costs where it is no matter of time: calls, allocations, locks, octets. Compares with costs.json, which
# --record writes anew.
set -euo pipefail
cd "$(dirname "$0")/../.."
. packaging/progress.sh
step "building"
configure_preset release -DBUILD_TESTING=ON
build_targets release replygate milter_load counting
exec python3 tests/bench/costs.py build/release/replygate "$@"
