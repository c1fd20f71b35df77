#!/usr/bin/env bash
# Runs a command in a root without booting it, and ends what it left running: enter.sh ROOT [OPTION… --] COMMAND…
# The options are those of systemd-nspawn.
set -euo pipefail
root=$1
shift
options=()
if [[ " $* " == *" -- "* ]]; then
  while [ "$1" != -- ]; do
    options+=("$1")
    shift
  done
  shift
fi
# It warns where /run is no file system of its own; that is no trouble.
systemd-nspawn --quiet --directory="$root" --register=no --keep-unit --pipe --as-pid2 --resolv-conf=replace-host \
  "${options[@]}" "$@" 2> >(grep -v '^Attempted to remove disk file system' >&2)
