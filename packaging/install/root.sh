#!/usr/bin/env bash
# Makes the root of a Debian suite once, and prints its folder: root.sh SUITE base|build|tests|boot. Needs root.
#   base   what debootstrap makes of it, with apt's sources of that suite
#   build  with what building a package needs
#   tests  with what building and running the tests needs
#   boot   with systemd and Postfix, to be booted
# Roots are kept in $REPLYGATE_ROOT_CACHE (/var/cache/replygate-tests/roots); remove the folder to start over.
set -euo pipefail
cd "$(dirname "$0")/../.."

suite=$1 kind=$2
cache=${REPLYGATE_ROOT_CACHE:-/var/cache/replygate-tests/roots}
root=$cache/$suite-$kind
base=$cache/$suite-base
mkdir -p "$cache"
exec 9>"$cache/.lock-$suite-$kind"
flock 9

say() { printf '%4d s  %s\n' "$SECONDS" "$*" >&2; }
inside() { packaging/install/enter.sh "$root" "$@"; }

# A mirror of the host, by how its address ends; apt's sources come as lines and as deb822.
mirror() {  # ENDING DEFAULT
  local found
  found=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null |
    grep -v '^ *#' | grep -oE "https?://[^] ]+/$1/?( |$)" | head -n 1 | tr -d ' ') || true
  echo "${found:-$2}"
}

# Sources of this suite alone, and of the host's apt only how it reaches the network.
sources() {
  local security updates=" $suite-updates"
  [ "$suite" != sid ] || updates=""
  security=$(mirror debian-security http://deb.debian.org/debian-security)
  rm -f "$root/etc/apt/sources.list"
  cat >"$root/etc/apt/sources.list.d/debian.sources" <<TEXT
Types: deb
URIs: $main
Suites: $suite$updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
TEXT
  [ "$suite" = sid ] || cat >>"$root/etc/apt/sources.list.d/debian.sources" <<TEXT

Types: deb
URIs: $security
Suites: $suite-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
TEXT
  apt-config dump | grep -E '^Acquire::(https?::Proxy|Check-|Retries|ForceIPv)' >"$root/etc/apt/apt.conf.d/00host" || true
  # Nothing is started while packages are installed.
  printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
  chmod 755 "$root/usr/sbin/policy-rc.d"
}

install_in_root() {
  inside env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$@" >/dev/null
}

make_base() {
  local main
  packaging/dependencies.sh container
  main=$(mirror debian http://deb.debian.org/debian)
  [ -e "/usr/share/debootstrap/scripts/$suite" ] || ln -s sid "/usr/share/debootstrap/scripts/$suite"
  say "debootstrap of $suite from $main"
  debootstrap --variant=minbase --include=ca-certificates "$suite" "$root" "$main" >"$cache/$suite.log" 2>&1 ||
    { tail -n 20 "$cache/$suite.log" >&2; exit 1; }
  sources
  inside apt-get -qq update
  inside env DEBIAN_FRONTEND=noninteractive apt-get -qq dist-upgrade -y >/dev/null
  inside apt-get clean
}

make_boot() {
  inside debconf-set-selections <<<"postfix postfix/main_mailer_type select Local only
postfix postfix/mailname string mail.example.org"
  install_in_root systemd systemd-sysv dbus logrotate postfix swaks procps man-db
  inside apt-get clean
  rm "$root/usr/sbin/policy-rc.d"
}

if [ ! -e "$root.ready" ]; then
  rm -rf "$root"
  if [ "$kind" != base ]; then
    packaging/install/root.sh "$suite" base >/dev/null
    cp -a "$base" "$root"
    say "the root $suite-$kind: installing"
  fi
  case $kind in
    base) make_base ;;
    build | tests) ;;
    boot) make_boot ;;
    *) echo "root.sh: no kind \"$kind\"" >&2; exit 64 ;;
  esac
  touch "$root.ready"
elif [ -n "$(find "$root.ready" -mmin +1440)" ]; then
  say "the root $suite-$kind: apt's lists are older than a day"
  inside apt-get -qq update
  touch "$root.ready"
fi

# Dependencies change with the tree, so they are looked at each time.
case $kind in
  build) purposes=(build package) ;;
  tests) purposes=(build test mta) ;;
  *) purposes=() ;;
esac
if [ "${#purposes[@]}" -gt 0 ]; then
  cp packaging/dependencies.sh packaging/progress.sh "$root/root/"
  inside /root/dependencies.sh "${purposes[@]}"
fi
echo "$root"
