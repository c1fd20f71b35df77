#!/usr/bin/env bash
# Runs a command of the committed tree in a root of a suite, with the user's ccache:
# build_in_root.sh SUITE build|tests FOLDER COMMAND…. FOLDER of the host is /out there. Needs root.
set -euo pipefail
cd "$(dirname "$0")/../.."
suite=$1 kind=$2
out=$(realpath -m "$3")
shift 3

root=$(packaging/install/root.sh "$suite" "$kind")
source=$(mktemp -d "${TMPDIR:-/var/tmp}/replygate-source.XXXXXX")
trap 'rm -rf "$source"' EXIT
git archive HEAD | tar -x -C "$source"
cache=${CCACHE_DIR:-$(ccache --get-config cache_dir 2>/dev/null || echo "$HOME/.cache/ccache")}
mkdir -p "$cache" "$out"
packaging/install/enter.sh "$root" --bind="$source:/build/replygate" --bind="$cache:/ccache" --bind="$out:/out" \
  --setenv=CCACHE_DIR=/ccache --setenv=PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
  --chdir=/build/replygate --capability=all -- "$@"
