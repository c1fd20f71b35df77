#!/usr/bin/env bash
# Runs in the root that mta.sh enters: mta_inside.sh SUITE OPTION OF ctest….
set -euo pipefail
suite=$1
shift
say() { printf '%4d s  %s\n' "$SECONDS" "$*"; }

say "building with $(g++ --version | head -n 1), Postfix $(dpkg-query -W -f '${Version}' postfix)"
cmake --preset release >/dev/null
nice cmake --build --preset release -j "$(nproc)" | awk -v step=20 '/^\[/ && ++n % step == 0'
ccache --show-stats 2>/dev/null | sed -n 's/^/        /; 1,4p'

# The tests have no network; what they fetch is fetched before.
say "fetching Sendmail"
PYTHONPATH=tests/mta python3 -B -c 'import sendmail; sendmail.fetch()'

say "testing"
unshare --net -- sh -c 'ip link set lo up && exec "$@"' sh \
  ctest --test-dir build/release --output-on-failure --output-junit "/out/tests-$suite.xml" "$@"
