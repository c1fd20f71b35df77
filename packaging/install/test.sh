#!/usr/bin/env bash
# Installs the package in a clean Debian 12 that boots in a container, and uses it as a new admin would, with mail through its
# Postfix; then upgrades, removes and purges it: packaging/install/test.sh [DEB]. Needs root. A line for each check.
set -euo pipefail
cd "$(dirname "$0")/../.."

deb=${1:-}
if [ -z "$deb" ]; then
  packaging/build-deb.sh dist
  deb=$(ls dist/replygate_*.deb)
fi
packaging/dependencies.sh container

cache=${REPLYGATE_ROOT_CACHE:-/var/cache/replygate-tests/root}
root=$(mktemp -d /var/tmp/replygate-root.XXXXXX)
trap 'rm -rf "$root"' EXIT
if [ ! -e "$cache/ready" ]; then
  rm -rf "$cache"
  mirror=$( (cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null || true) | grep -v "^#" | grep -oE 'https?://[^ ]+' | head -n 1 || true)
  debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,ca-certificates,logrotate bookworm "$cache" \
    "${mirror:-http://deb.debian.org/debian}" >/dev/null
  cp /etc/apt/sources.list "$cache/etc/apt/" 2>/dev/null || true
  cp -r /etc/apt/sources.list.d /etc/apt/apt.conf.d /etc/apt/trusted.gpg.d "$cache/etc/apt/" 2>/dev/null || true
  cp /etc/resolv.conf "$cache/etc/" 2>/dev/null || true
  echo "postfix postfix/main_mailer_type select Local only" | chroot "$cache" debconf-set-selections
  echo "postfix postfix/mailname string mail.example.org" | chroot "$cache" debconf-set-selections
  chroot "$cache" apt-get -qq update
  chroot "$cache" env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends postfix swaks procps man-db >/dev/null
  touch "$cache/ready"
fi
cp -a "$cache/." "$root"
chroot "$root" postconf -e inet_protocols=ipv4
cp "$deb" "$root/root/replygate.deb"
cp packaging/install/inside.sh "$root/root/inside.sh"
# What the package depends on; the package itself is installed in the running system.
depends=$(dpkg-deb -f "$deb" Depends | tr ',' '\n' | sed 's/|.*//; s/(.*//; s/ //g')
# shellcheck disable=SC2086
chroot "$root" env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $depends >/dev/null

cat >"$root/etc/systemd/system/inside.service" <<'UNIT'
[Unit]
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/bin/bash /root/inside.sh
StandardOutput=file:/root/said
StandardError=file:/root/said
ExecStopPost=/bin/systemctl --no-block poweroff
[Install]
WantedBy=default.target
UNIT
ln -sf /etc/systemd/system/inside.service "$root/etc/systemd/system/multi-user.target.wants/inside.service"
ln -sf /lib/systemd/system/multi-user.target "$root/etc/systemd/system/default.target"
sed -i 's/^After=.*/After=postfix.service/' "$root/etc/systemd/system/inside.service"
timeout 300 systemd-nspawn -D "$root" --register=no --keep-unit --private-network -b >"$root/root/console" 2>&1 || true
cat "$root/root/said" || { tail -n 30 "$root/root/console"; exit 1; }
! grep -q '^FAIL' "$root/root/said" && grep -q '^done' "$root/root/said"
