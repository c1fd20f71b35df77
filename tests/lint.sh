#!/usr/bin/env bash
# Looks at the form of the code: tests/lint.sh format | tidy. "tidy" takes some minutes and needs the preset "fuzz".
set -euo pipefail
cd "$(dirname "$0")/.."
case ${1:-} in
  format) find policy milter tests -name '*.cpp' -o -name '*.h' | xargs clang-format --dry-run -Werror ;;
  tidy)
    cmake --preset fuzz >/dev/null
    cmake --build --preset fuzz -j "$(nproc)" >/dev/null  # clang-tidy reads its precompiled headers
    find policy milter -name '*.cpp' | xargs -P "$(nproc)" -n 4 clang-tidy -p build/fuzz --quiet
    ;;
  *) echo "usage: lint.sh format | tidy" >&2; exit 64 ;;
esac
