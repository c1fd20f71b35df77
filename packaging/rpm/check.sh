#!/usr/bin/env bash
# Reads the spec as Fedora and EL would, and compares what it asks for with what it should: packaging/rpm/check.sh.
# Needs rpmspec alone, so it runs on Debian too. It proves the conditions of the spec, not that those packages exist.
set -euo pipefail
cd "$(dirname "$0")"
failed=$(mktemp -u)

common='boost-devel >= 1.81
cmake >= 3.25
cmake(CLI11)
cmake(fmt)
cmake(tl-expected)
cmake(yaml-cpp)
gcc-c++ >= 12
ninja-build
pkgconfig
pkgconfig(hiredis)
pkgconfig(icu-uc)
pkgconfig(ldap)
pkgconfig(libmariadb)
pkgconfig(libpq)
pkgconfig(libidn2)
pkgconfig(libsodium)
pkgconfig(libsystemd)
pkgconfig(libzstd)
pkgconfig(libarchive)
pkgconfig(gmime-3.0)
pkgconfig(lmdb)
pkgconfig(openssl)
pkgconfig(re2)
pkgconfig(sqlite3) >= 3.37
pkgconfig(tomlplusplus)
python3
sendmail-milter-devel'

result() {  # NAME, with the problem on stdin
  local problem
  problem=$(cat)
  if [ -z "$problem" ]; then echo "ok    $1"; else
    printf 'FAIL  %s\n' "$1"
    sed 's/^/      /' <<<"$problem"
    touch "$failed"
  fi
}

# NAME USER MORE OPTION…: USER is who makes the user, "%pre" or "rpm"; MORE is asked for beside what all ask for.
accepted() {
  local name=$1 user=$2 more=$3 wanted
  shift 3
  wanted=$(printf '%s\n' "$common" $more | LC_ALL=C sort)
  { diff <(echo "$wanted") <(rpmspec -q --buildrequires "$@" replygate.spec 2>&1 | LC_ALL=C sort) || true; } |
    sed -n 's/^</not asked for:/p; s/^>/asked for:/p' | result "$name: build dependencies"
  rpmspec -P "$@" replygate.spec 2>&1 | awk -v user="$user" '
    /^Requires\(pre\): *shadow-utils/ {shadow = 1}
    /^getent passwd .* useradd/ {made = 1}
    /^\/.*sysusers\.d\/replygate\.conf$/ {file = 1}
    END {
      if (user == "%pre" && !(shadow && made)) print "%pre must make the user, with shadow-utils"
      if (user == "rpm" && (shadow || made)) print "rpm makes the user, %pre must not"
      if (!file) print "no file in sysusers.d"
    }' | result "$name: the user is made by $user"
}

# NAME PATTERN OPTION…: the spec is an error there, whose text says why.
refused() {
  local name=$1 pattern=$2 said
  shift 2
  if said=$(rpmspec -q --buildrequires "$@" replygate.spec 2>&1); then
    echo "it is accepted"
  elif ! grep -q "$pattern" <<<"$said"; then
    echo "the reason is missing: $said"
  fi | result "$name: refused, with the reason"
}

# Of the host's own distribution nothing may show through.
none=(--undefine=fedora --undefine=rhel)
cdb='pkgconfig(libcdb)'
date='cmake(date)'
accepted "Fedora 39" %pre "$cdb $date" "${none[@]}" --define "fedora 39"
accepted "Fedora 41" %pre "$cdb" "${none[@]}" --define "fedora 41"
accepted "Fedora 42" rpm "$cdb" "${none[@]}" --define "fedora 42"
accepted "Fedora 43" rpm "$cdb" "${none[@]}" --define "fedora 43"
accepted "EL10" %pre "" "${none[@]}" --define "rhel 10"
accepted "EL10 with cdb" %pre "$cdb" "${none[@]}" --define "rhel 10" --with cdb
accepted "another" %pre "$cdb $date" "${none[@]}"
refused "EL9" 'needs Boost 1.81 and GCC 12. EL9 ' "${none[@]}" --define "rhel 9"
refused "EL8" 'needs Boost 1.81 and GCC 12. EL8 ' "${none[@]}" --define "rhel 8"
! rm "$failed" 2>/dev/null
