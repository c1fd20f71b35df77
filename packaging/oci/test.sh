#!/usr/bin/env bash
# Builds the images and uses them as compose.yaml would: packaging/oci/test.sh [SUITE]. Needs root, and no registry: the
# base is made by debootstrap (trixie), unless BASE names an image that can be fetched. A line for each check.
set -euo pipefail
cd "$(dirname "$0")/../.."
say() { printf '%4d s  %s\n' "$SECONDS" "$*"; }

if [ -z "${REPLYGATE_UNIFIED:-}" ]; then
  packaging/dependencies.sh container oci
  REPLYGATE_UNIFIED=1 exec packaging/unified.sh packaging/oci/test.sh "$@"
fi

work=$(mktemp -d /var/tmp/replygate-oci.XXXXXX)
export STORAGE_DRIVER=${STORAGE_DRIVER:-vfs} BUILDAH_ISOLATION=chroot TMPDIR=$work
suite=${1:-trixie}
base=${BASE:-localhost/debian:$suite-slim}
store=(--root "$work/storage" --runroot "$work/run")
pod() { podman "${store[@]}" --network-config-dir "$work/networks" --cgroup-manager cgroupfs "$@"; }
build() { buildah "${store[@]}" "$@" >>"$work/log" 2>&1 || { tail -n 40 "$work/log"; exit 1; }; }
clean() {
  pod rm --all --force --time 1 >/dev/null 2>&1 || true
  pod network rm --force milter >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap clean EXIT

mkdir "$work/source" "$work/networks"
git archive HEAD | tar -x -C "$work/source"
if [ -z "${BASE:-}" ]; then
  say "the base image"
  root=$(packaging/install/root.sh "$suite" base)
  container=$(buildah "${store[@]}" from scratch 2>>"$work/log")
  build add --quiet "$container" "$root" /
  build commit --quiet --rm "$container" "$base"
fi

say "the image of replygate"
cache=${CCACHE_DIR:-$(ccache --get-config cache_dir 2>/dev/null || echo "$HOME/.cache/ccache")}
mkdir -p "$cache"
build build --build-arg "BASE=$base" --volume "$cache:/root/.cache/ccache" --format docker --tag replygate \
  --file "$work/source/packaging/oci/Containerfile" "$work/source"
say "the image of Postfix"
build build --build-arg "BASE=$base" --format docker --tag replygate-postfix "$work/source/packaging/oci/postfix"
say "$(pod images --format '{{.Repository}} {{.Size}}' | grep -v none | sort | paste -sd ',' | sed 's/,/, /g')"

failed=0
check() {  # NAME COMMAND…
  local name=$1
  shift
  if "$@" >"$work/last" 2>&1; then say "ok    $name"; else
    say "FAIL  $name"
    tail -n 15 "$work/last" | sed 's/^/      /'
    failed=1
  fi
}
says() {  # PATTERN COMMAND…
  local pattern=$1
  shift
  "$@" >"$work/said" 2>&1 || true
  cat "$work/said"
  grep -qE "$pattern" "$work/said"
}
fails() { ! "$@"; }
wait_for() {  # COMMAND…: until it succeeds, for 20 seconds
  for _ in $(seq 80); do
    "$@" >/dev/null 2>&1 && return 0
    sleep 0.25
  done
  "$@"
}

# A sandbox may allow no higher limits than its own, and no groups of processes.
limits=(--cgroups disabled --ulimit nofile=16384:16384 --ulimit nproc=1024:1024)
run() { pod run --detach --network milter --log-driver k8s-file "${limits[@]}" "$@"; }
start() {
  run --name replygate --read-only --cap-drop all --security-opt no-new-privileges --tmpfs /run/replygate:mode=1777 \
    --volume policy:/etc/replygate --volume state:/var/lib/replygate localhost/replygate
}
stop() {  # within five seconds, by itself
  local began=$SECONDS
  pod stop --time 30 replygate && [ $((SECONDS - began)) -le 5 ] &&
    says '^0$' pod inspect --format '{{.State.ExitCode}}' replygate
}
healthy() { pod healthcheck run replygate; }
in_it() { pod exec replygate "$@"; }
mail() {  # SENDER: the reply to a mail, from outside
  python3 - "$(pod inspect --format '{{.NetworkSettings.Networks.milter.IPAddress}}' postfix)" "$1" <<'PYTHON'
import smtplib, sys
client = smtplib.SMTP(sys.argv[1], 25, local_hostname="client.example.net", timeout=30)
client.ehlo()
reply = client.mail(sys.argv[2])
if reply[0] == 250:
    reply = client.rcpt("root@localhost")
if reply[0] == 250:
    reply = client.data("Subject: test\r\n\r\nHello.\r\n")
print(reply[0], reply[1].decode())
PYTHON
}

pod network create milter >/dev/null
check "replygate starts" start
check "Postfix starts" run --name postfix localhost/replygate-postfix
check "healthy: /readyz says 200" wait_for healthy
[ "$failed" = 0 ] || { pod logs replygate; exit 1; }
check "replygate is PID 1" says '^replygate$' in_it cat /proc/1/comm
check "an ordinary user" says '^8891$' in_it id -u
check "no capabilities" says '^CapEff:.0+$' in_it grep CapEff /proc/1/status
check "no systemd" fails in_it dpkg -s systemd
check "status is fine" says '^state +fine' in_it replygate status
check "mail passes" wait_for says '^250 2' mail alice@example.net
check "its record is in the container's log" wait_for says 'alice@example.net' pod logs replygate

policy=$(pod volume inspect --format '{{.Mountpoint}}' policy)/replygate.toml
cat >>"$policy" <<'TOML'

[[rule]]
name  = "two-an-hour"
per   = "sender"
limit = "2 recipients / 1h"
reply = { class = "quota-exceeded", text = "Two an hour are enough" }
TOML
check "SIGHUP" pod kill --signal HUP replygate
check "the policy is reloaded" wait_for says 'two-an-hour' in_it replygate rules
check "the first passes" says '^250 2' mail bob@example.net
check "the second passes" says '^250 2' mail bob@example.net
check "the third is refused in our words" says '^452 4.7.1 Two an hour are enough' mail bob@example.net
cp "$policy" "$work/good.toml"
echo 'nonsense = 1' >>"$policy"
check "SIGHUP with an invalid policy" pod kill --signal HUP replygate
check "the diagnostics are in the log" wait_for says 'RG1' pod logs replygate
check "the old policy stays in force" says '^452 4.7.1 Two an hour are enough' mail bob@example.net
cp "$work/good.toml" "$policy"

check "SIGTERM ends it within five seconds, with 0" stop
check "without it Postfix defers" says '^4[25]1 4' mail bob@example.net
check "it is removed" pod rm replygate
check "another starts on the same volumes" start
check "it is healthy" wait_for healthy
check "counters outlived it" says '^452 4.7.1 Two an hour are enough' mail bob@example.net
check "others pass" says '^250 2' mail carol@example.net
check "why knows what was before" says 'two-an-hour' in_it replygate why bob@example.net
check "SIGTERM once more" stop
say "done"
exit "$failed"
