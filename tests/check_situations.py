"""Five situations, and what each of four commands says of them: check_situations.py BINARY [--print]. The commands must
agree: what one says of the trouble, the others say in the same words."""

import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent / "screens"))
import mta
from served import Served

PRINT = "--print" in sys.argv and not sys.argv.remove("--print")
BINARY = str(pathlib.Path(sys.argv.pop(1)).resolve())

POLICY = """version = 1
[milter]
listen = "unix:{0}/milter.sock"
[control]
listen = "unix:{0}/control.sock"
[history]
path = "{0}/history"
[store]
{1}
[log]
decisions = "file:{0}/decisions.log"
[site]
relay = "mta"
[[rule]]
name  = "quota"
per   = "sender"
limit = "5 recipients / 1h"
reply = "quota-exceeded"
"""
MEMORY = 'backend = "memory"'
FILTER = "INPUT_MAIL_FILTER(`replygate', `S=unix:{0}/milter.sock, F=T, T=S:30s;R:30s;E:5m')dnl\n"
CONFIG = (
    "define(`confMILTER_MACROS_CONNECT', `j, _, {{daemon_name}}, {{if_name}}, {{if_addr}}')dnl\n"
    "define(`confMILTER_MACROS_ENVRCPT', `{{rcpt_mailer}}, {{rcpt_host}}, {{rcpt_addr}}')dnl\n"
    "DAEMON_OPTIONS(`Family=inet, Name=MTA-v4, Port=smtp')dnl\nMAILER(`smtp')dnl\n"
)
MISTAKE = '"1x" is not a period'


def closed_port():
    """Nobody listens there."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Host:
    """A folder with a policy, an MTA's settings and a daemon."""

    def __init__(self, folder, store=MEMORY, asks=True):
        self.folder = pathlib.Path(folder)
        self.folder.chmod(0o755)  # the MTA may enter it
        self.policy = self.folder / "policy.toml"
        self.text = POLICY.format(folder, store)
        self.policy.write_text(self.text)
        (self.folder / "mail").mkdir()
        mc = (FILTER if asks else "") + CONFIG
        (self.folder / "mail/sendmail.mc").write_text(mc.format(folder))
        self.daemon = None

    def start(self):
        self.daemon = Served(BINARY, self.folder, self.policy)
        (self.folder / "milter.sock").chmod(0o666)  # for whatever user the MTA has

    def stop(self):
        self.daemon.stop()

    def spoil(self):
        self.policy.write_text(self.text.replace("/ 1h", "/ 1x"))

    def send(self):
        session = mta.Session(f"{self.folder}/milter.sock", "client.example.net", "192.0.2.1")
        session.mail("ann@here.example", ["bob@there.example"], "4XQ0f52Yhqz9rhN")
        session.close()

    def run(self, *words):
        run = subprocess.run([BINARY, *map(str, words)], capture_output=True, text=True, env={**os.environ, "NO_COLOR": "1"})
        return re.sub(r"\s+", " ", run.stdout + run.stderr)

    def said(self):
        """By command, in one line each."""
        control = ["--socket", self.folder / "control.sock"]
        return {
            "check": self.run("check", self.policy),
            "status": self.run("status", *control),
            "why": self.run("why", "ann@here.example", *control),
            "doctor": self.run("doctor", "-c", self.policy, *control, "--sendmail", self.folder / "mail", "--postfix", "/nowhere"),
        }


class Situations(unittest.TestCase):
    maxDiff = None

    def look(self, host, wanted):
        """`wanted`: by command, what it must say; "-" before what it must not."""
        said = host.said()
        if PRINT:
            print(f"\n== {self.id().split('.')[-1]}")
        for command, words in wanted.items():
            if PRINT:
                print(f"{command}: {said[command]}")
            for word in words:
                with self.subTest(command=command, word=word):
                    if word.startswith("-"):
                        self.assertNotIn(word[1:], said[command])
                    else:
                        self.assertIn(word, said[command])

    def host(self, **options):
        folder = self.enterContext(tempfile.TemporaryDirectory())
        return Host(folder, **options)

    def begin(self, host):
        host.start()
        self.addCleanup(host.stop)

    def test_1_healthy(self):
        host = self.host()
        self.begin(host)
        host.send()
        self.look(host, {
            "check": ["OK, 1 rule", "0 warnings"],
            "status": ["state fine", "store memory: fine"],
            "why": ["let through", "bob@there.example"],
            "doctor": ["ok policy", "ok sendmail asks replygate as the policy needs it", "ok daemon serves this policy", "-error"],
        })

    def test_2_policy_broken_after_the_start(self):
        host = self.host()
        self.begin(host)
        host.spoil()
        host.run("reload", "--socket", host.folder / "control.sock")
        host.send()
        kept = "the last reload was rejected, and the previous policy stays in force"
        self.look(host, {
            "check": [MISTAKE],
            "status": [kept, MISTAKE],
            "why": ["let through"],
            "doctor": [f"error policy {host.policy}: {MISTAKE}", kept],
        })

    def test_3_policy_broken_before_the_start(self):
        host = self.host()
        host.start()
        host.stop()
        host.spoil()
        self.begin(host)
        host.send()
        last = "the last good policy serves"
        self.look(host, {
            "check": [MISTAKE],
            "status": [last, MISTAKE],
            "why": ["let through"],
            "doctor": [f"error policy {host.policy}: {MISTAKE}", last],
        })

    def test_4_the_mta_does_not_ask(self):
        host = self.host(asks=False)
        self.begin(host)
        self.look(host, {
            "check": ["OK, 1 rule"],
            "status": ["state fine", "0 sessions since the start"],
            "why": ['nothing is known of "ann@here.example"'],
            "doctor": ["error sendmail", "replygate is never asked", "ok daemon serves this policy"],
        })

    def test_5_the_store_cannot_be_reached(self):
        port = closed_port()
        host = self.host(store=f'backend = "redis"\nservers = ["inet:{port}@127.0.0.1"]')
        self.begin(host)
        host.send()
        unreached = f"inet:{port}@127.0.0.1"
        self.look(host, {
            "check": ["OK, 1 rule"],
            "status": [f"state store: {unreached}: Connection refused"],
            "why": ["451 4.3.0", "quota could not be judged: the store did not answer"],
            "doctor": [f"error store {unreached} cannot be reached: Connection refused",
                       f"error daemon store: {unreached}: Connection refused"],
        })


if __name__ == "__main__":
    unittest.main()
