#!/usr/bin/env bash
# Runs in the container that test.sh boots: what a new admin does. A line for each check, "ok" or "FAIL".
set -u
export DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin

check() {  # NAME COMMAND…
  local name=$1
  shift
  if "$@" >/root/last 2>&1; then echo "ok    $name"; else
    echo "FAIL  $name"
    sed 's/^/      /' /root/last | tail -n 15
  fi
}
fails() { ! "$@"; }
says() {  # PATTERN COMMAND…
  local pattern=$1
  shift
  "$@" >/root/said-now 2>&1
  cat /root/said-now
  grep -qE "$pattern" /root/said-now
}
wait_for() {  # COMMAND…: until it succeeds, for 20 seconds
  for _ in $(seq 200); do
    "$@" >/dev/null 2>&1 && return 0
    sleep 0.1
  done
  "$@"
}
mail() { swaks --server 127.0.0.1 --from "$1" --to "$2" --helo client.example.net --timeout 20; }
policy=/etc/replygate/replygate.toml

find / -xdev -newer /root/inside.sh -type f >/dev/null 2>&1
find / -xdev \( -path /proc -o -path /sys -o -path /run -o -path /tmp -o -path /var/log -o -path /root \) -prune -o -print | sort >/root/before

# Install: the service runs at once.
check "install" dpkg -i /root/replygate.deb
check "service is active" wait_for systemctl is-active replygate.service
check "socket is active" systemctl is-active replygate.socket
check "never root" says '^replygate$' ps -o user= -C replygate
check "status" replygate status
check "the shipped policy passes" replygate check --strict $policy
check "files are private" says '^600' stat -c %a /var/lib/replygate/state.db
check "control socket is 660" says '^660' stat -c %a /run/replygate/control.sock
check "a stranger may not command" fails setpriv --reuid=65534 --regid=65534 --clear-groups replygate status
check "man pages" says 'replygate' man -w replygate replygate.toml replygate-codes replygate-control replygate-doctor replygate-check

# The MTA: doctor finds what is missing, setup shows it, then does it.
check "doctor finds that Postfix does not ask" says 'replygate is never asked' replygate doctor
check "setup shows a diff" says '^\+smtpd_milters = inet:127.0.0.1:8891' replygate setup postfix
check "setup changes nothing by itself" says '^smtpd_milters =$' postconf smtpd_milters
check "setup applies" replygate setup postfix --apply
check "main.cf is changed" says 'inet:127.0.0.1:8891' postconf smtpd_milters
check "setup has nothing left to do" replygate setup postfix
check "doctor is content with Postfix" says '^ok +postfix' replygate doctor

# Mail, and a policy of our own.
check "mail passes" mail alice@example.net root@localhost
check "why knows the sender" wait_for says 'let through' replygate why alice@example.net
cat >>$policy <<'TOML'

[[rule]]
name  = "three-an-hour"
per   = "sender"
limit = "3 recipients / 1h"
reply = { class = "quota-exceeded", text = "Three an hour are enough; reference {ref}" }
TOML
check "reload" systemctl reload replygate
for _ in 1 2 3; do mail bob@example.net root@localhost >/dev/null 2>&1; done
check "the fourth is refused in our words" says '452 4.7.1 Three an hour are enough; reference [0-9A-Z]+' mail bob@example.net root@localhost
ref=$(grep -oE 'reference [0-9A-Z]+' /root/said-now | head -n 1 | cut -d' ' -f2)
check "why knows the reference" wait_for says 'three-an-hour .*cause: limit' replygate why "$ref"
check "the journal has its fields" wait_for says 'three-an-hour' journalctl REPLYGATE_REF="$ref" -o json
check "quota show" says 'three-an-hour .* 3 +0 ' replygate quota show bob@example.net
check "quota raise" replygate quota raise bob@example.net --times 2 --until 1h --reason test
check "the raised one passes" says '250 2.0.0' mail bob@example.net root@localhost
check "quota reset" replygate quota reset bob@example.net
check "top" says 'bob@example.net' replygate top --once
check "rules" says 'three-an-hour' replygate rules

# A broken policy is not taken, at a reload or at a start.
cp $policy /root/good.toml
sed -i 's/^reply = { class = "quota-exceeded"/reply = { clas = "quota-exceeded"/' $policy
check "reload of a broken policy fails" fails systemctl reload replygate
check "the diagnostic is in the journal" wait_for says 'RG1002' journalctl -u replygate
check "replygate reload exits with 78" bash -c 'replygate reload; [ $? = 78 ]'
check "the old policy goes on" says '250 2.0.0' mail carol@example.net root@localhost
check "restart with a broken policy" systemctl restart replygate
check "the last good one serves, and status says so" says 'the last good one' replygate status
check "counters outlived the restart" says 'three-an-hour' replygate quota show carol@example.net
cp /root/good.toml $policy
check "reload of the mended policy" systemctl reload replygate
check "systemd knows of the mended policy" says '^policy [0-9a-f]+(\+[0-9a-f]+)? with' systemctl show -P StatusText replygate
check "status is fine" says '^state +fine' replygate status

# A restart loses no connection.
(
  for i in $(seq 40); do mail "r$i@example.net" root@localhost >/root/restart.$i 2>&1 || echo "lost $i" >>/root/lost; done
) &
load=$!
for _ in 1 2 3; do systemctl restart replygate; done
wait $load
check "40 mails over three restarts" fails test -e /root/lost

# The watchdog ends a daemon that hangs.
before=$(systemctl show -P MainPID replygate)
mkdir -p /run/systemd/system/replygate.service.d
printf '[Service]\nWatchdogSec=2\n' >/run/systemd/system/replygate.service.d/quick.conf
systemctl daemon-reload
systemctl reset-failed replygate # systemd lets a service start five times in ten seconds
systemctl restart replygate
before=$(systemctl show -P MainPID replygate)
kill -STOP "$before"
hung_is_gone() { [ "$(systemctl show -P MainPID replygate)" != "$before" ] && systemctl is-active -q replygate; }
check "a hung daemon is restarted" wait_for hung_is_gone

# Upgrade: policy and state stay, nothing is asked.
sum=$(sha256sum $policy)
check "upgrade" dpkg -i /root/replygate.deb
check "the policy is untouched" bash -c "[ \"\$(sha256sum $policy)\" = '$sum' ]"
check "active after the upgrade" wait_for systemctl is-active replygate.service
check "mail after the upgrade" mail dave@example.net root@localhost

# A Unix socket within Postfix's chroot, as OPERATIONS.md has it.
socket=/var/spool/postfix/replygate/milter.sock
sends_through_it() {  # SENDER
  check "setup follows the socket ($1)" replygate setup postfix --apply
  check "main.cf names it ($1)" says 'unix:.*milter\.sock' postconf smtpd_milters
  check "Postfix alone may open it ($1)" says '^(660|775|770) replygate postfix' stat -c '%a %U %G' $socket
  check "mail through it ($1)" says '250 2.0.0' mail "$1" root@localhost
  check "why knows the sender ($1)" wait_for says 'let through' replygate why "$1"
  check "doctor is content ($1)" says '^ok +postfix' replygate doctor
}
drop_in() {  # UNIT, the text at stdin
  mkdir -p "/etc/systemd/system/$1.d"
  cat >"/etc/systemd/system/$1.d/override.conf"
  systemctl daemon-reload
}
cp $policy /root/inet.toml
sed -i "s|^listen *=.*8891.*|listen = \"unix:$socket\"|" $policy
systemctl disable --now replygate.socket
systemctl stop replygate
install -d -o replygate -g postfix -m 2750 /var/spool/postfix/replygate
drop_in replygate.service <<'UNIT'
[Service]
ReadWritePaths=/var/spool/postfix/replygate
UNIT
check "the daemon makes the socket" systemctl start replygate
sends_through_it frank@example.net
check "Postfix may not command" fails setpriv --reuid=postfix --regid=postfix --clear-groups replygate status
systemctl stop replygate
rm -rf /etc/systemd/system/replygate.service.d /var/spool/postfix/replygate
cp /root/inet.toml $policy
systemctl daemon-reload
check "back to the port" systemctl enable --now replygate.socket
systemctl start replygate
check "setup follows it back" replygate setup postfix --apply
check "mail through the port" says '250 2.0.0' mail grace@example.net root@localhost

# Exposure as the manager of this system sees it.
check "exposure is at most 1.2" bash -c 'systemd-analyze security replygate.service | tail -n 1; systemd-analyze security replygate.service | tail -n 1 | grep -qE " (0\.[0-9]|1\.[0-2]) "'

# Away again.
check "removal warns while Postfix asks" says 'postfix still asks replygate' dpkg -r replygate
check "it is installed again" dpkg -i /root/replygate.deb
check "setup takes Postfix back" replygate setup postfix --remove --apply
check "main.cf is taken back" says '^smtpd_milters =$' postconf smtpd_milters
check "remove" dpkg -r replygate
check "removal keeps policy and state" test -e $policy -a -e /var/lib/replygate/state.db
check "removal stops the service" fails systemctl is-active replygate.service replygate.socket
check "purge" dpkg -P replygate
find / -xdev \( -path /proc -o -path /sys -o -path /run -o -path /tmp -o -path /var/log -o -path /root \) -prune -o -print | sort >/root/after
check "purge leaves nothing" bash -c 'comm -13 /root/before /root/after | grep -i replygate; ! comm -13 /root/before /root/after | grep -qi replygate'
check "nor a user" fails getent passwd replygate
check "nor a log" fails test -e /var/log/replygate
echo "done"
