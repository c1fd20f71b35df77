#!/usr/bin/env bash
# Installs the package in a clean Debian that boots in a container, and uses it as a new admin would, with mail through its
# Postfix; then upgrades, removes and purges it. Needs root. A line for each check.
#   packaging/install/test.sh [bookworm|trixie|all]   the package of that suite, in that suite; without: the running one
#   packaging/install/test.sh SUITE DEB               the same with a package that is there already
#   packaging/install/test.sh mta SUITE               the unit and MTA tests, built in that suite, with its mail servers
set -euo pipefail
cd "$(dirname "$0")/../.."
running=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
say() { printf '%4d s  %s\n' "$SECONDS" "$*"; }

case ${1:-$running} in
  mta) exec packaging/install/mta.sh "${@:2}" ;;
  all)
    failed=0
    for suite in bookworm trixie; do packaging/install/test.sh "$suite" || failed=1; done
    exit "$failed"
    ;;
esac
suite=${1:-$running} deb=${2:-}

packaging/dependencies.sh container
[ -n "$deb" ] || say "$suite: building the package"
if [ -n "$deb" ]; then
  true
elif [ "$suite" = "$running" ]; then
  deb=$(packaging/build-deb.sh dist | tail -n 1)
else
  built=$(packaging/install/build_in_root.sh "$suite" build dist packaging/build-deb.sh /out | tail -n 1)
  deb=dist/$(basename "$built")
fi

say "$suite: installing what $(basename "$deb") depends on"
cache=$(packaging/install/root.sh "$suite" boot)
work=$(mktemp -d /var/tmp/replygate-root.XXXXXX)
trap 'rm -rf "$work"' EXIT
root=$work/root
cp -a "$cache" "$root"
packaging/install/enter.sh "$root" postconf -e inet_protocols=ipv4
cp "$deb" "$root/root/replygate.deb"
cp packaging/install/inside.sh "$root/root/inside.sh"
# The package itself is installed in the running system.
depends=$(dpkg-deb -f "$deb" Depends | tr ',' '\n' | sed 's/|.*//; s/(.*//; s/ //g')
# shellcheck disable=SC2086
packaging/install/enter.sh "$root" env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends \
  $depends >/dev/null

cat >"$root/etc/systemd/system/inside.service" <<'UNIT'
[Unit]
After=postfix.service
[Service]
Type=oneshot
ExecStart=/bin/bash /root/inside.sh
StandardOutput=file:/root/said
StandardError=file:/root/said
ExecStopPost=/bin/systemctl --no-block poweroff
UNIT
mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
ln -sf /etc/systemd/system/inside.service "$root/etc/systemd/system/multi-user.target.wants/inside.service"
ln -sf /lib/systemd/system/multi-user.target "$root/etc/systemd/system/default.target"

say "$suite: booting"
: >"$root/root/said"
packaging/unified.sh timeout 400 systemd-nspawn -D "$root" --register=no --keep-unit --private-network -b \
  >"$root/root/console" 2>&1 &
container=$!
tail -n +1 -s 0.3 -f --pid="$container" "$root/root/said"
wait "$container" || true
[ -s "$root/root/said" ] || { tail -n 30 "$root/root/console"; exit 1; }
failed=$(grep -c '^FAIL' "$root/root/said" || true)
say "$suite: $(grep -c '^ok' "$root/root/said" || true) checks passed, $failed failed"
[ "$failed" = 0 ] && grep -q '^done' "$root/root/said"
