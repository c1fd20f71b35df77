#!/usr/bin/env bash
# Installs what a purpose needs, from the distribution's packages: dependencies.sh build|test|mta|sanitizers|tidy|package|
# rpm|container|oci …  Debian 12 and 13, Ubuntu 24.04 and later. A word "a|b" is the first of them that
# apt knows; "a?" is left out where apt does not know it.
set -euo pipefail
. "$(dirname "$0")/progress.sh"

# One version of clang's tools wherever several are installed; tests/lint.sh reads it here.
llvm=19

declare -A packages=(
  [build]="cmake g++ ninja-build ccache pkg-config python3 libmilter-dev libboost1.81-dev|libboost-dev
           libboost-json1.81-dev|libboost-json-dev libboost-container1.81-dev|libboost-container-dev libtomlplusplus-dev
           libfmt-dev libexpected-dev libre2-dev libicu-dev libidn2-dev libsodium-dev libcli11-dev libsqlite3-dev
            libhiredis-dev libssl-dev libsystemd-dev libcdb-dev liblmdb-dev libyaml-cpp-dev libzstd-dev libarchive-dev libgmime-3.0-dev
            libmariadb-dev libpq-dev libldap-dev|libldap2-dev @zones"
  [test]="libgtest-dev libgmock-dev libbenchmark-dev systemd-journal-remote clang-format-$llvm?"
  [mta]="redis-server openssl postfix postfix-cdb postfix-lmdb postfix-pcre postfwd? policyd-rate-limit? sasl2-bin libsasl2-modules libsasl2-modules-db m4
         util-linux procps iproute2 mariadb-server-core mariadb-client-core postgresql slapd ldap-utils
         postfix-mysql postfix-pgsql postfix-ldap"
  [sanitizers]="clang-$llvm libclang-rt-$llvm-dev llvm-$llvm"
  [tidy]="clang-tidy-$llvm clang-format-$llvm clang-$llvm"
  [package]="build-essential debhelper dpkg-dev fakeroot"
  [rpm]="rpm rpmlint"
  [container]="debootstrap debian-archive-keyring systemd-container"
  [oci]="buildah podman crun netavark aardvark-dns iptables python3"
)

as_root=""
[ "$(id -u)" = 0 ] || as_root="sudo"

declare -A have=()
while read -r name status; do
  [ "$status" != installed ] || have[$name]=1
done < <(dpkg-query -W -f '${Package} ${db:Status-Status}\n')

# Not through a pipe to grep -q: apt-cache fails where nobody reads on.
known() { [[ $(apt-cache policy "$1" 2>/dev/null) == *"Candidate: "[^\(]* ]]; }

# "@zones": time zones come with GCC 14; before it they are a library's.
zones() {
  local version
  version=$(apt-cache policy g++ | awk '$1 == "Candidate:" {print $2}')
  dpkg --compare-versions "${version:-0}" ge 4:14 || echo libhowardhinnant-date-dev
}

# The packages of the words given that are not installed.
missing_of() {
  local word one chosen
  for word in "$@"; do
    [ "$word" = @zones ] && word=$(zones)
    chosen=""
    [[ $word != *\? ]] || known "${word%\?}" || continue
    word=${word%\?}
    for one in ${word//|/ }; do
      [ -z "${have[$one]:-}" ] || continue 2
      if [ -z "$chosen" ] && known "$one"; then chosen=$one; fi
    done
    chosen=${chosen:-${word%%|*}}
    [ -z "$chosen" ] || echo "$chosen"
  done
}

wanted=()
for purpose in "$@"; do
  if [ -z "${packages[$purpose]:-}" ]; then
    echo "dependencies.sh: unknown purpose \"$purpose\"; use one of: ${!packages[*]}" >&2
    exit 64
  fi
  # shellcheck disable=SC2206
  wanted+=(${packages[$purpose]})
done

[ -n "$(missing_of "${wanted[@]}")" ] || exit 0
$as_root apt-get -qq -o DPkg::Lock::Timeout=300 update
mapfile -t missing < <(missing_of "${wanted[@]}" | sort -u)
[ "${#missing[@]}" -gt 0 ] || exit 0
echo "installing ${#missing[@]} packages: ${missing[*]}" >&2

# What apt reports of its downloads and then of its installing, as one count to a hundred.
apt_percent() {
  local kind percent rest
  while IFS=: read -r kind _ percent rest; do
    percent=${percent%.*}
    case $kind in
      dlstatus) echo "@$((percent / 2))/100%" ;;
      pmstatus) echo "@$((50 + percent / 2))/100%" ;;
    esac
  done
}

# Postfix and slapd must not set up and start a system instance; the tests run private ones.
printf '%s\n' "postfix postfix/main_mailer_type select No configuration" "slapd slapd/no_configuration boolean true" |
  $as_root debconf-set-selections
step "packages"
$as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 -o APT::Status-Fd=1 install -y \
  --no-install-recommends "${missing[@]}" | apt_percent | count_steps
step_done "installed"
