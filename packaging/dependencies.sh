#!/usr/bin/env bash
# Installs what a purpose needs, from Debian's packages: dependencies.sh build|mta|tidy|package|rpm|container …
set -euo pipefail

declare -A packages=(
  [build]="cmake g++ ninja-build ccache pkg-config libmilter-dev libboost1.81-dev libboost-json1.81-dev
           libboost-container1.81-dev libtomlplusplus-dev libfmt-dev libexpected-dev libre2-dev libidn2-dev
           libsodium-dev libcli11-dev libgtest-dev libgmock-dev libbenchmark-dev libhowardhinnant-date-dev
           libsqlite3-dev libhiredis-dev libssl-dev libsystemd-dev libcdb-dev liblmdb-dev libyaml-cpp-dev"
  [mta]="redis-server openssl postfix postfix-cdb postfix-lmdb sasl2-bin libsasl2-modules libsasl2-modules-db m4 python3 util-linux procps"
  [tidy]="clang-tidy clang-format clang libclang-rt-14-dev"
  [package]="build-essential debhelper dpkg-dev fakeroot"
  [rpm]="rpm rpmlint"
  [container]="debootstrap systemd-container"
)

wanted=""
for purpose in "$@"; do
  [ -n "${packages[$purpose]:-}" ] || { echo "dependencies.sh: no purpose \"$purpose\"; it is one of: ${!packages[*]}" >&2; exit 64; }
  wanted+=" ${packages[$purpose]}"
done

missing=""
for package in $wanted; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=" $package"
done
[ -z "$missing" ] && exit 0

as_root=""
[ "$(id -u)" = 0 ] || as_root="sudo"
echo "installing:$missing" >&2
# Postfix must not set up and start a system instance; the tests run private ones.
echo "postfix postfix/main_mailer_type select No configuration" | $as_root debconf-set-selections
$as_root apt-get -qq -o DPkg::Lock::Timeout=300 update
# shellcheck disable=SC2086
$as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 install -y \
  --no-install-recommends $missing >/dev/null
