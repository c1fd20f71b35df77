#!/usr/bin/env bash
# Looks at the form of the code, with the one version of clang's tools that packaging/dependencies.sh names:
#   tests/lint.sh format
#   tests/lint.sh tidy [FILE…]   of all files it takes a quarter of an hour
set -euo pipefail
cd "$(dirname "$0")/.."

# The tool of that version, or which package is missing.
tool() {
  local name
  name=$1-$(sed -n 's/^llvm=//p' packaging/dependencies.sh)
  command -v "$name" || { echo "lint.sh: $name is missing: packaging/dependencies.sh tidy" >&2; exit 69; }
}

case ${1:-} in
  format)
    format=$(tool clang-format)
    find policy milter tests \( -name '*.cpp' -o -name '*.h' \) -print0 | xargs -0 "$format" --dry-run -Werror
    ;;
  tidy)
    tidy=$(tool clang-tidy)
    shift
    files=("$@")
    [ $# -gt 0 ] || mapfile -t -d '' files < <(find policy milter -name '*.cpp' -print0)
    cmake --preset asan -B build/tidy -DREPLYGATE_UNITY=OFF -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON >/dev/null
    printf '%s\0' "${files[@]}" | xargs -0 -P "$(nproc)" -n 4 "$tidy" -p build/tidy --quiet
    ;;
  *) echo "usage: lint.sh format | tidy" >&2; exit 64 ;;
esac
