"""The sessions of demo.sh: prints each dialogue, and beside it the record that replygate wrote of it."""

import base64
import os
import itertools
import pathlib
import shutil
import sys
import textwrap
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "tests/mta"))
os.environ["REPLYGATE"] = sys.argv[1]
os.environ["PATH"] += ":/usr/sbin:/sbin"

from daemon import Daemon  # noqa: E402
from postfix import Postfix  # noqa: E402
from smtp import Client, Closed  # noqa: E402

POLICY = """
[site]
local_domains    = ["local.test"]
relay_domains    = ["relay.test"]
trusted_networks = ["127.0.0.1"]

[[rule]]
name   = "no-open-relay"
unless = { recipient_domain = ["$local_domains", "$relay_domains"], client_ip = "$trusted_networks", authenticated = true }
reply  = { class = "relay-denied", text = "Relaying denied for {recipient}; authenticate first" }

[[rule]]
name  = "closed-to-spammers"
when  = { client_ip = "127.66.0.0/16" }
reply = "host-closed"

[[rule]]
name  = "too-many-recipients"
when  = { recipients = "> 3" }
reply = "too-many-recipients"

[[rule]]
name  = "quota"
when  = { sender_domain = "busy.test" }
per   = "sender"
limit = "2 recipients / 5s"
reply = "quota-exceeded"

[[rule]]
name  = "mailbox-full"
when  = { recipient = "hoarder@local.test" }
reply = { class = "mailbox-full", code = 552 }

[[rule]]
name  = "backscatter"
when  = { null_sender = true, recipient = "victim@local.test" }
reply = "bounces-blocked"

[[rule]]
name  = "no-newsletters"
mode  = "observe"
when  = { sender_local = "newsletter" }
reply = { class = "access-denied", text = "No newsletters here ({ref})" }
"""

SETTINGS = (
    "smtpd_relay_restrictions = permit_mynetworks, permit_sasl_authenticated,\n"
    "    check_policy_service {{ inet:127.0.0.1:{port}, timeout=2s, default_action=DUNNO }},\n"
    "    reject_unauth_destination\n"
)

COLOURS = sys.stdout.isatty() and "NO_COLOR" not in os.environ
BOLD, DIM, OFF = ("\033[1m", "\033[2m", "\033[0m") if COLOURS else ("",) * 3
WIDTH = max(shutil.get_terminal_size((150, 24)).columns, 100)


class Shown:
    """A client that remembers its dialogue in `lines`."""

    def __init__(self, mta, source="127.0.0.2"):
        self.client = Client(mta.port, source)
        self.lines = [f"S: {self.client.banner[0]}"]
        self.client("EHLO client.test")

    def __call__(self, command):
        self.lines.append(f"C: {'(message)' if command.endswith(chr(10) + '.') else command}")
        try:
            reply = self.client(command)
        except Closed:
            self.lines.append("S: (connection closed)")
            return ""
        self.lines += [f"S: {line}" for line in reply.splitlines()]
        return reply

    def send(self, sender, *recipients):
        if not self(f"MAIL FROM:<{sender}>").startswith("2"):
            return
        kept = [self(f"RCPT TO:<{recipient}>").startswith("2") for recipient in recipients]
        if any(kept):
            self("DATA")
            self("Subject: demo\r\n\r\nHello.\r\n.")

    def quit(self):
        try:
            self.client("QUIT")
        except Closed:
            pass
        self.client.close()


def verdict_line(said):
    name = said.get("recipient", "the message")
    reply = said.get("reply")
    text = f"{name}: {said['action']}"
    if reply:
        text += f" {reply.get('code', '')} {reply['enhanced']}".replace("  ", " ")
    for key in ("classification", "bounce", "rule"):
        if key in said and not (key == "bounce" and said[key] == "none"):
            text += f", {key} {said[key]}"
    for limit in said.get("limits", []):
        text += f", {limit['used']} of {limit['limit']} {limit['unit']} / {limit['window']}"
    for observed in said.get("observed", []):
        text += f"; rule {observed['rule']} would have said {observed['reply']['code']} {observed['reply']['text']}"
    return text


def record_lines(record):
    """What replygate recorded, for people."""
    who = record["user"] or record["client_ip"]
    yield f"{record['door']} {record['ref']}: {who}, <{record['sender']}>, {record['outcome']}"
    for said in ([record["message"]] if "message" in record else []) + record["recipients"]:
        yield "  " + verdict_line(said)


def side_by_side(dialogue, records):
    column = (WIDTH - 3) // 2
    def wrapped(lines, indent):
        return [part for line in lines for part in textwrap.wrap(line, column, subsequent_indent=indent) or [""]]
    right = wrapped((line for record in records for line in record_lines(record)), "    ")
    for left, beside in itertools.zip_longest(wrapped(dialogue, "   "), right, fillvalue=""):
        print(f"{left:{column}} {DIM}| {beside}{OFF}".rstrip())
    print()


def login(user, password):
    return "AUTH PLAIN " + base64.b64encode(f"\0{user}\0{password}".encode()).decode()


def sessions(mta, daemon):
    seen = 0

    def scene(title, play, records, source="127.0.0.2"):
        nonlocal seen
        print(f"{BOLD}{title}{OFF}")
        session = Shown(mta, source)
        play(session)
        session.quit()
        found = daemon.records(seen + records)
        side_by_side(session.lines, found[seen:])
        seen = len(found)

    scene("1. Ordinary mail passes", lambda s: s.send("ann@example.test", "bob@local.test"), 1)
    scene("2. A stranger may not relay: the policy's code, through Postfix's own relay check",
          lambda s: s.send("ann@example.test", "x@elsewhere.test"), 2)
    scene("3. A spelling that hides the destination does not help",
          lambda s: s.send("ann@example.test", "x%elsewhere.test@local.test"), 2)
    scene("4. Too many recipients: 453 for the excess alone",
          lambda s: s.send("ann@example.test", *[f"r{i}@local.test" for i in range(1, 6)]), 1)

    def authenticated(session):
        session(login("carol", "secret"))
        session.send("carol@local.test", "x@elsewhere.test")

    scene("5. An authenticated user may send elsewhere", authenticated, 1)
    scene("6. A full mailbox: a hard bounce, as the policy words it",
          lambda s: s.send("ann@example.test", "hoarder@local.test"), 2)
    scene("7. Backscatter is blocked", lambda s: s.send("", "victim@local.test"), 2)
    scene("8. Observe mode: recorded, not refused", lambda s: s.send("newsletter@example.test", "bob@local.test"), 1)
    scene("9. A closed host: refused for good, with 521", lambda s: s.send("x@bad.test", "bob@local.test"), 1, "127.66.0.1")
    scene("10. A quota of 2 recipients in 5 seconds runs out …",
          lambda s: s.send("ceo@busy.test", "a@local.test", "b@local.test", "c@local.test"), 1)
    print(f"{DIM}   (waiting for the window to slide){OFF}\n")
    time.sleep(5.2)
    scene("    … and comes back", lambda s: s.send("ceo@busy.test", "c@local.test"), 1)


with Daemon(POLICY, service_port=8894) as replygate, Postfix(
    f"inet:127.0.0.1:{replygate.port}", settings=SETTINGS.format(port=8894), users={"carol": "secret"}
) as postfix:
    sessions(postfix, replygate)
    print(f"Every record in full: {replygate.records_file}" if "--keep" in sys.argv else "Done; everything has been removed.")
    if "--keep" in sys.argv:
        print(f"Postfix listens on 127.0.0.1:{postfix.port}, for instance:")
        print(f"  swaks -s 127.0.0.1 -p {postfix.port} -li 127.0.0.2 -f ann@example.test -t x@elsewhere.test")
        print(f"The policy: {replygate.policy_file}. Press Enter to stop.")
        sys.stdin.readline()
