#!/usr/bin/env bash
# Shows replygate at work: from a fresh Debian to a private Postfix with replygate in front of it, ten SMTP sessions,
# and the record of each. It does not touch the system's own Postfix, and cleans up after itself.
#   packaging/demo.sh          the sessions, then everything is removed
#   packaging/demo.sh --keep   leaves Postfix and replygate up until Enter is pressed
set -euo pipefail
cd "$(dirname "$0")/.."
. packaging/progress.sh

step "packages"
packaging/dependencies.sh build mta
step "building replygate"
configure_preset release -DREPLYGATE_WERROR=OFF -DBUILD_TESTING=OFF
build_targets release replygate
step_done "ready"

as_root=()
[ "$(id -u)" = 0 ] || as_root=(sudo)
exec "${as_root[@]}" python3 packaging/demo.py "$PWD/build/release/replygate" "$@"
