"""What commands show on terminals of 80 and 120 columns, kept beside this file: check_screens.py BINARY.

Each screen is NAME.80 and NAME.120. References, times and what a machine takes are replaced, in place, so that columns stay
where they are. With REPLYGATE_UPDATE=1 in the environment the screens are written anew, to be read before a commit."""

import contextlib
import fcntl
import os
import pathlib
import pty
import re
import select
import socket
import struct
import subprocess
import sys
import tempfile
import termios

import unittest

import mta
from served import Served

BINARY = str(pathlib.Path(sys.argv.pop(1)).resolve())
HERE = pathlib.Path(__file__).parent
COLUMNS = (80, 120)
PATIENCE = 20  # seconds
SILENCE = 2  # of a command that goes on

# What differs from run to run, and what stands for it; of the same length where it stands in a column.
PLACES = [
    (r"\b[0-9A-Z]{10}\b", "REFERENCES"),
    (r"\b\d\.\d{3}\b", "N.NNN"),
    (r"\b\d{4}-\d\d-\d\d\b", "YYYY-MM-DD"),
    (r"\b\d\d:\d\d:\d\d\b", "HH:MM:SS"),
    (r"\b\d\d:\d\d\b(?!:)", "HH:MM"),
    (r"\bin \d+ min\b", "in NN min"),
    (r"\((?:now|\d+ s ago)\)", "(now)"),
    (r"\bin 2 h\b|\bin 1 h \d+ min\b", "in 2 h"),
    (r"\bpid \d+", "pid NNN"),
    (r"\b(policy +)[0-9a-f]{8}(?:\+[0-9a-f]{4})?", r"\1IDIDIDID"),
    (r" +\d+(?:\.\d+)? (µs|us|ms)\b", r" N \1"),
    (r"/tmp/[^/ ]+/", "/etc/replygate/"),
]


def plain(screen):
    for pattern, stands in PLACES:
        screen = re.sub(pattern, stands, screen)
    return "\n".join(line.rstrip() for line in screen.splitlines()) + "\n"


def on_terminal(words, columns, cwd, meanwhile=None):
    """What a command prints there. With `meanwhile` it is one that does not end: this is done once it has begun, and it is
    stopped when it falls silent."""
    endless = meanwhile is not None
    end, far = pty.openpty()
    fcntl.ioctl(far, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    surroundings = {"PATH": os.environ["PATH"], "TERM": "xterm", "NO_COLOR": "1", "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    command = subprocess.Popen([BINARY, *words], stdin=far, stdout=far, stderr=far, cwd=cwd, env=surroundings)
    os.close(far)
    shown = b""
    with contextlib.suppress(OSError):  # the other end is closed
        while True:
            if not select.select([end], [], [], PATIENCE if meanwhile or not shown or not endless else SILENCE)[0]:
                break
            octets = os.read(end, 65536)
            if not octets:
                break
            shown += octets
            if meanwhile:
                meanwhile()
                meanwhile = None
    command.terminate()
    command.wait()
    os.close(end)
    return shown.decode().replace("\r\n", "\n")


POLICY = """version = 1
[milter]
listen = "unix:{0}/milter.sock"
[control]
listen = "unix:{0}/control.sock"
[history]
path = "{0}/history"
[store]
backend = "memory"
[log]
decisions = "file:{0}/decisions.log"
[site]
local_domains    = ["example.org"]
trusted_networks = ["127.0.0.0/8"]

[[rule]]
name   = "no-open-relay"
unless = {{ recipient_domain = "$local_domains", client_ip = "$trusted_networks", authenticated = true }}
reply  = {{ class = "relay-denied", text = "Relaying denied for {{recipient}}; authenticate first" }}

[[rule]]
name    = "user-sending-quota"
when    = {{ authenticated = true }}
per     = "user"
limit   = ["5 recipients / 1h", "20 recipients / 1d"]
warn_at = "80%"
reply   = "quota-exceeded"

[[rule]]
name  = "watch-new-clients"
per   = "client_net"
limit = "3 recipients / 10m"
mode  = "observe"
reply = "quota-exceeded"

[[test]]
name   = "a stranger does not relay"
given  = {{ client = "192.0.2.7", from = "a@elsewhere.example" }}
rcpt   = "b@elsewhere.example"
expect = {{ code = 571 }}
"""
BROKEN = """version = 1
[[rule]]
name  = "quota"
per   = "sasl_username"
limit = "100 per hour"
reply = "quota-exceded"
"""
BOUNCE = (
    "Nov 29 10:00:00 mx postfix/smtp[123]: 4XQ0f52Yhqz9rhN: to=<bob@example.net>, relay=mx.example.net[192.0.2.25]:25, delay=1.2, "
    "delays=0.1/0/0.5/0.6, dsn=5.2.2, status=bounced (host mx.example.net[192.0.2.25] said: 552 5.2.2 <bob@example.net>: Recipient "
    "address rejected: mailbox is full (in reply to RCPT TO command))"
)

# Name of the screen, and the command; {} is the folder of the daemon.
OFFLINE = {
    "help": [],
    "check": ["check", "policy.toml"],
    "check-broken": ["check", "broken.toml"],
    "check-show": ["check", "--show", "policy.toml"],
    "test": ["test", "policy.toml"],
    "test-failed": ["test", "failing.toml"],
    "try": ["try", "policy.toml", "--client", "192.0.2.7", "--from", "a@elsewhere.example", "--to", "b@elsewhere.example"],
    "codes": ["codes"],
    "explain-code": ["explain", "453", "--at", "RCPT"],
    "explain-line": ["explain", BOUNCE],
    "explain-diagnostic": ["explain", "RG1101"],
    "import": ["import", "access", "--as", "client", "access"],
    "init": ["init", "--print", "--domains", "example.org", "--networks", "192.0.2.0/24", "--notify", "postmaster@example.org", "--postfix", "."],
    "mistyped": ["chek"],
}
LIVE = {
    "status": ["status"],
    "rules": ["rules"],
    "top": ["top", "--once"],
    "tail": ["tail"],
    "why": ["why", "r5@elsewhere.example"],
    "why-message": ["why", "news@partner.example"],
    "why-unknown": ["why", "nobody@example.org"],
    "quota-list": ["quota", "list"],
    "quota-show": ["quota", "show", "alice@example.org"],
    "quota-raise": ["quota", "raise", "alice@example.org", "--times", "2", "--until", "2h"],
    "quota-reset": ["quota", "reset", "alice@example.org"],
    "reload": ["reload"],
    "drain": ["drain"],
}
ENDLESS = {"tail"}


def sessions(folder):
    """One that reaches its limit, one that is refused, one that is observed."""
    milter = f"{folder}/milter.sock"
    user = mta.Session(milter, "dsl-7.example.net", "192.0.2.7", "alice@example.org")
    user.mail("alice@example.org", [f"r{i}@elsewhere.example" for i in range(7)], "4XQ0f52Yhqz9rhN")
    user.close()
    stranger = mta.Session(milter, "unknown", "198.51.100.9")
    stranger.mail("someone@a-rather-long-domain-name.example", ["victim@elsewhere.example"], "4XQ0f52Yhqz9rhY")
    stranger.mail("news@partner.example", [f"list{i}@example.org" for i in range(5)], "4XQ0f52Yhqz9rhZ")
    stranger.close()


class Screens(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.stack = contextlib.ExitStack()
        cls.folder = cls.stack.enter_context(tempfile.TemporaryDirectory())
        folder = pathlib.Path(cls.folder)
        (folder / "policy.toml").write_text(POLICY.format(cls.folder))
        (folder / "broken.toml").write_text(BROKEN)
        (folder / "failing.toml").write_text(POLICY.format(cls.folder).replace("code = 571", "code = 550"))
        (folder / "access").write_text("192.0.2.7 REJECT spammer\n10.1 OK\nbad.example FILTER a\n")
        (folder / "main.cf").write_text("mydestination = example.org\n")

    @classmethod
    def tearDownClass(cls):
        cls.stack.close()

    def compare(self, name, words):
        for columns in COLUMNS:
            with self.subTest(screen=name, columns=columns):
                meanwhile = (lambda: sessions(self.folder)) if name in ENDLESS else None
                screen = plain(on_terminal(words, columns, self.folder, meanwhile))
                kept = HERE / f"{name}.{columns}"
                if "REPLYGATE_UPDATE" in os.environ:
                    kept.write_text(screen)
                self.assertEqual(screen, kept.read_text())
                # A word that is longer than the terminal stays whole, and so do messages.
                wide = [line for line in screen.splitlines() if len(line) > columns and len(line.split()) > 1]
                wide = [line for line in wide if not line.startswith("replygate: ")]
                self.assertEqual(wide, [])

    def test_offline(self):
        for name, words in OFFLINE.items():
            self.compare(name, words)

    def test_daemon(self):
        with Served(BINARY, self.folder, f"{self.folder}/policy.toml"):
            sessions(self.folder)
            for name, words in LIVE.items():
                self.compare(name, [*words, "--socket", f"{self.folder}/control.sock"])


if __name__ == "__main__":
    unittest.main()
