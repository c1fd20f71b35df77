#!/usr/bin/env bash
# Builds the Debian package from the committed tree, or from this one as it is where there is no git:
# packaging/build-deb.sh [FOLDER]. It is left in FOLDER (dist/), and its name is the last line. Its version names the
# suite (0.1.0~deb12), since what it depends on differs.
set -euo pipefail
cd "$(dirname "$0")/.."
target=$(realpath -m "${1:-dist}")
say() { printf '%4d s  %s\n' "$SECONDS" "$*" >&2; }

packaging/dependencies.sh build package

# deb12, ubuntu24.04; testing and unstable have no number but a name.
suite=$(. /etc/os-release && echo "${ID/debian/deb}${VERSION_ID:-${VERSION_CODENAME:-}}")

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/replygate" "$target"
if git rev-parse --git-dir >/dev/null 2>&1; then
  git archive HEAD | tar -x -C "$work/replygate"
else
  tar -c --exclude=./build --exclude=./dist . | tar -x -C "$work/replygate"
fi
cp -r packaging/debian "$work/replygate/debian"
cp packaging/systemd/replygate.* packaging/replygate.logrotate "$work/replygate/debian/"
cd "$work/replygate"
sed -i "1s/(\([^)]*\))/(\1~$suite)/" debian/changelog
version=$(dpkg-parsechangelog -S Version)
say "building replygate $version"

# The flags are those of CMakeLists.txt, which hardens by itself: the objects are those of any other release build, and
# ccache has them; without -g there is nothing for a package of debug symbols. debhelper has a HOME of its own, so the
# cache is named.
export DEB_CFLAGS_SET="" DEB_CXXFLAGS_SET="" DEB_CPPFLAGS_SET="" DEB_LDFLAGS_SET=""
export DEB_BUILD_OPTIONS="noautodbgsym ${DEB_BUILD_OPTIONS:-}"
if command -v ccache >/dev/null; then
  CCACHE_DIR=$(ccache --get-config cache_dir)
  export CCACHE_DIR CCACHE_STATSLOG="$work/ccache"
fi
dpkg-buildpackage -b -us -uc >"$work/log" 2>&1 || { tail -n 40 "$work/log" >&2; exit 1; }
if [ -e "$work/ccache" ]; then
  say "$(grep -c 'cache_hit$' "$work/ccache") objects from ccache, $(grep -c '^cache_miss$' "$work/ccache") compiled"
fi
if command -v lintian >/dev/null; then
  say "lintian"
  lintian --allow-root --fail-on error,warning "$work"/replygate_*.changes >&2
fi
cp "$work"/replygate{,-*}_"${version}"_*.deb "$target/"
say "done"
ls "$target"/replygate_"${version}"_*.deb
