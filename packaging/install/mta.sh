#!/usr/bin/env bash
# Builds in a Debian suite and runs the unit and MTA tests there, with the Postfix and Sendmail of that suite, in a
# network of their own: mta.sh SUITE [OPTION OF ctest…]. Needs root. The report is left in dist/tests-SUITE.xml.
set -euo pipefail
cd "$(dirname "$0")/../.."
suite=${1:?mta.sh SUITE}
shift
[ "$#" -gt 0 ] || set -- -L 'unit|mta' -j "$(nproc)"
say() { printf '%4d s  %s\n' "$SECONDS" "$*"; }

say "$suite: preparing the root"
packaging/dependencies.sh container
packaging/install/root.sh "$suite" tests >/dev/null

say "$suite: building and testing"
packaging/install/build_in_root.sh "$suite" tests dist packaging/install/mta_inside.sh "$suite" "$@"
say "$suite: done"
