#!/usr/bin/env bash
# Builds the Debian package from the committed tree: packaging/build-deb.sh [FOLDER]; it is left in FOLDER (dist/).
set -euo pipefail
cd "$(dirname "$0")/.."
target=$(realpath -m "${1:-dist}")

packaging/dependencies.sh build package

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/replygate" "$target"
git archive HEAD | tar -x -C "$work/replygate"
cp -r packaging/debian "$work/replygate/debian"
cp packaging/systemd/replygate.* packaging/replygate.logrotate "$work/replygate/debian/"
cd "$work/replygate"
dpkg-buildpackage -b -us -uc >"$work/log" 2>&1 || { tail -n 40 "$work/log"; exit 1; }
cp "$work"/replygate_*.deb "$target/"
ls "$target"/replygate_*.deb
