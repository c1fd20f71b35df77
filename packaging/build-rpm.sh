#!/usr/bin/env bash
# Builds the RPM package from the committed tree: packaging/build-rpm.sh [FOLDER]; it is left in FOLDER (dist/). On Debian
# the names of build dependencies are not those of the spec, and are not looked at.
set -euo pipefail
cd "$(dirname "$0")/.."
target=$(realpath -m "${1:-dist}")

say() { printf '%4d s  %s\n' "$SECONDS" "$*" >&2; }

packaging/dependencies.sh build rpm
say "the spec, as Fedora and EL read it"
packaging/rpm/check.sh >&2

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
version=$(sed -n 's/^Version: *//p' packaging/rpm/replygate.spec)
mkdir -p "$work"/{SOURCES,SPECS,BUILD,RPMS} "$target"
git archive --prefix="replygate-$version/" HEAD | gzip -n >"$work/SOURCES/replygate-$version.tar.gz"
say "building replygate $version"
rpmbuild --define "_topdir $work" --define "packager The replygate maintainers <maintainers@replygate.invalid>" \
  --nodeps -bb packaging/rpm/replygate.spec >"$work/log" 2>&1 ||
  { tail -n 40 "$work/log" >&2; exit 1; }
# Where it is there, it must be content. Its versions need different filters.
if command -v rpmlint >/dev/null; then
  say "rpmlint"
  rpmlint --ignore-unused-rpmlintrc -r packaging/rpm/rpmlintrc "$work"/RPMS/*/*.rpm packaging/rpm/replygate.spec \
    >"$work/lint" 2>&1 || { cat "$work/lint" >&2; exit 1; }
fi
say "done"
cp "$work"/RPMS/*/*.rpm "$target/"
ls "$target"/replygate-*.rpm
