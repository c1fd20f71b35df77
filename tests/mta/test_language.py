"""What rules do to real mail: hold, discard, added headers, contents, greylisting, lists that change, full mailboxes,
harvesters, and whether what `replygate check` says of relaying is so."""

import pathlib
import re
import socket
import subprocess
import tempfile
import threading
import unittest

import mta_test
from daemon import BINARY, Daemon, wait_until
from postfix import Postfix
from smtp import Client

CONTENT = """
[[rule]]
name = "loop"
when = { header.X-Loop = "local.test" }
reply = { class = "transaction-failed", text = "Mail loop: {header.X-Loop}" }
[[rule]]
name = "tag"
when = { header.Subject = "*offer*" }
header = { X-Tagged = "{sender} {rule}" }
[[rule]]
name = "drop"
when = { header.Subject = "*drop*" }
discard = true
[[rule]]
name = "again"
per = ["sender", "digest"]
limit = "2 messages / 1h"
reply = "duplicate-flood"
[[rule]]
name = "held"
when = { header.Subject = "*hold*" }
hold = "look at it"
"""


def mail(subject, body="text", **headers):
    lines = [f"Subject: {subject}"] + [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines) + f"\r\n\r\n{body}"


class Content(unittest.TestCase):
    def test_headers_and_bodies(self):
        with Daemon(CONTENT) as daemon:
            for name, start in mta_test.both(daemon.port):
                with self.subTest(name), start() as mta, Client(mta.port) as client:
                    client("EHLO client.test")

                    def send(sender, text):
                        return client.message(f"{sender}@{name}.test", ["user@local.test"], text)["end"]

                    self.assertEqual(send("a", mail("x", X_Loop="local.test")), "554 5.3.0 Mail loop: local.test")
                    self.assertEqual(send("b", mail("x", X_Loop="other.test"))[:3], "250")
                    self.assertEqual([send("c", mail("x", "same"))[:9] for _ in range(3)][2], "557 5.7.1")
                    self.assertEqual(send("c", mail("x", "another"))[:3], "250")
                    if name == "postfix":
                        wait_until(lambda: not mta.queue(), "delivery")
                    known = len(mta.queue())
                    self.assertEqual(send("d", mail("drop this"))[:3], "250")
                    self.assertEqual(len(mta.queue()), known)
                    if name == "postfix":
                        wait_until(lambda: "milter-discard: END-OF-MESSAGE" in mta.log(), "Postfix to tell of it")
                    self.assertEqual(send("e", mail("hold this offer"))[:3], "250")
                    held = mta.held()
                    self.assertEqual(len(held), 1)
                    self.assertRegex(held[0], rf"X-Tagged: e@{name}\.test tag")
                wait_until(lambda: "held" in daemon.records()[-1], "the record")
                record = daemon.records()[-1]
                self.assertEqual(record["held"], "look at it")
                self.assertEqual(record["headers"], [{"name": "X-Tagged", "value": f"e@{name}.test tag"}])

    def test_no_bodies_where_no_rule_needs_them(self):
        policy = '[[rule]]\nname = "s"\nwhen = { header.Subject = "x" }\nreply = 554\n'
        with Daemon(policy) as daemon, Postfix(f"inet:127.0.0.1:{daemon.port}") as mta, Client(mta.port) as client:
            client("EHLO client.test")
            self.assertEqual(client.message("a@x.test", ["user@local.test"], mail("x"))["end"][:3], "554")
            self.assertEqual(client.message("a@x.test", ["user@local.test"], mail("y", "z" * 5000))["end"][:3], "250")
            self.assertLess(daemon.records(2)[-1]["size"], 1000)


class Time(unittest.TestCase):
    def test_greylisting(self):
        policy = (
            '[[rule]]\nname = "g"\nper = ["client_net", "sender", "recipient"]\n'
            'greylist = { delay = "1s", retry_within = "1h" }\nreply = "greylisted"\n'
        )
        with Daemon(policy) as daemon:
            for name, start in mta_test.both(daemon.port):
                with self.subTest(name), start() as mta, Client(mta.port) as client:
                    client("EHLO client.test")
                    client(f"MAIL FROM:<{name}@x.test>")
                    first = client("RCPT TO:<user@local.test>")
                    self.assertRegex(first, r"^450 4\.7\.1 (<user@local.test>\.\.\. )?Greylisted, try again in 1s$")
                    wait_until(lambda: client("RCPT TO:<user@local.test>").startswith("250"), "the delay")
                    self.assertTrue(client("RCPT TO:<other@local.test>").startswith("450"))

    def test_a_changed_list_is_taken(self):
        with tempfile.TemporaryDirectory() as folder:
            blocked = pathlib.Path(folder, "blocked")
            blocked.write_text("@bad.test\n")
            policy = f'[lists]\nb = {{ file = "{blocked}" }}\n[[rule]]\nname = "b"\nwhen = {{ sender = "$b" }}\nreply = 554\n'
            with Daemon(policy) as daemon, Postfix(f"inet:127.0.0.1:{daemon.port}") as mta:

                def said(sender):
                    with Client(mta.port) as client:
                        client("EHLO client.test")
                        return client(f"MAIL FROM:<{sender}>")[:3]

                self.assertEqual((said("a@bad.test"), said("a@worse.test")), ("554", "250"))
                blocked.write_text("@worse.test\n")
                wait_until(lambda: said("a@worse.test") == "554", "the new list")
                self.assertEqual(said("a@bad.test"), "250")
                blocked.unlink()
                wait_until(lambda: "its last content is kept" in (daemon.folder / "errors").read_text(), "the loss")
                self.assertEqual(said("a@worse.test"), "554")


class Recipients(unittest.TestCase):
    def test_harvesters(self):
        policy = (
            '[[rule]]\nname = "h"\nper = "client_ip"\nlimit = "3 unknown_recipients / 1h"\n'
            'reply = { class = "access-denied", text = "Too many unknown recipients" }\n'
        )
        with Daemon(policy) as daemon, Postfix(f"inet:127.0.0.1:{daemon.port}") as mta, Client(mta.port) as client:
            client("EHLO client.test")
            client("MAIL FROM:<a@x.test>")
            for _ in range(3):
                self.assertEqual(client("RCPT TO:<user@local.test>")[:3], "250")
                self.assertEqual(client("RCPT TO:<nobody@local.test>")[:3], "550")
            self.assertEqual(client("RCPT TO:<user@local.test>"), "554 5.7.1 Too many unknown recipients")

    def test_full_mailboxes(self):
        with QuotaStatus() as service:
            policy = (
                f'[mailbox]\nquota_status = "inet:{service.port}@127.0.0.1"\ntimeout = "1s"\n'
                '[[rule]]\nname = "full"\nwhen = { mailbox_used = ">= 100%" }\non_unknown = "skip"\nreply = "mailbox-full"\n'
            )
            with Daemon(policy) as daemon:
                for name, start in mta_test.both(daemon.port):
                    with self.subTest(name), start() as mta, Client(mta.port) as client:
                        client("EHLO client.test")
                        client("MAIL FROM:<a@x.test>")
                        self.assertEqual(client("RCPT TO:<user@local.test>")[:3], "250")
                        self.assertEqual(client("RCPT TO:<full@local.test>")[:9], "452 4.2.2")
                        self.assertEqual(client("RCPT TO:<silent@local.test>")[:3], "250")

    def test_maps_of_postfix(self):
        with tempfile.TemporaryDirectory() as folder:
            table = pathlib.Path(folder, "table")
            table.write_text("a@bad.test x\nworse.test y\n")
            etc = pathlib.Path(folder, "main.cf")
            etc.write_text("compatibility_level = 3.6\n")
            for kind in ("cdb", "lmdb"):
                subprocess.run(["postmap", "-c", folder, f"{kind}:{table}"], check=True)
            for kind in ("texthash", "cdb", "lmdb"):
                with self.subTest(kind):
                    policy = pathlib.Path(folder, "policy.toml")
                    policy.write_text(
                        f'version = 1\n[site]\nrelay = "mta"\n[lists]\nb = "{kind}:{table}"\n[[rule]]\nname = "b"\n'
                        'when = { sender = ["$b"] }\nreply = 554\n'.replace('["$b"]', '"$b"')
                    )
                    table.write_text("a@bad.test x\n@worse.test y\n")
                    if kind != "texthash":
                        subprocess.run(["postmap", "-c", folder, f"{kind}:{table}"], check=True)
                    for sender, status in (("a@bad.test", 1), ("b@worse.test", 1), ("c@good.test", 0)):
                        run = subprocess.run([BINARY, "try", policy, "--from", sender, "--to", "x@y.test"], capture_output=True, text=True)
                        self.assertEqual(run.returncode, status, run.stdout + run.stderr)


class QuotaStatus:
    """Dovecot's service, as far as replygate talks to it."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.listener.close()

    def serve(self):
        threads = []
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                break
            threads.append(threading.Thread(target=self.answer, args=(peer,)))
            threads[-1].start()
        for thread in threads:
            thread.join()

    @staticmethod
    def answer(peer):
        with peer:
            text = b""
            while chunk := peer.recv(4096):
                text += chunk
                if not text.endswith(b"\n\n"):
                    continue
                if b"recipient=full@" in text:
                    peer.sendall(b"action=552 5.2.2 Mailbox is full\n\n")
                elif b"recipient=silent@" not in text:
                    peer.sendall(b"action=OK\n\n")
                text = b""


OPEN = """
[site]
local_domains = ["local.test"]
relay_domains = ["relay.test"]
trusted_networks = ["127.0.0.1"]
[[rule]]
name = "hole"
when = { helo = "friend.test", sender_domain = ".partner.test" }
accept = true
[[rule]]
name = "no-open-relay"
unless = { recipient_domain = ["$local_domains", "$relay_domains"], client_ip = "$trusted_networks", authenticated = true }
reply = "relay-denied"
"""
# The milter alone denies relaying.
LEFT_TO_THE_MILTER = "smtpd_relay_restrictions = permit_mynetworks, check_recipient_access static:OK, reject_unauth_destination\n"


class RelayProof(unittest.TestCase):
    def check(self, daemon):
        run = subprocess.run([BINARY, "check", daemon.policy_file], capture_output=True, text=True)
        self.assertEqual(run.returncode, 0, run.stderr)
        return run

    def play(self, mta, transaction):
        """The counterexample, as a real client of that address."""
        ip, helo, sender, recipient = re.search(
            r"client (\S+?),? .*EHLO (\S+), MAIL FROM:<(\S*)>, RCPT TO:<(\S+)>", transaction
        ).groups()
        with Client(mta.port, "127.0.0.1") as client:
            client("EHLO proxy.test")
            self.assertTrue(client(f"XCLIENT ADDR={ip} NAME=[UNAVAILABLE]").startswith("220"))
            client(f"EHLO {helo}")
            self.assertEqual(client(f"MAIL FROM:<{sender}>")[:3], "250")
            return client(f"RCPT TO:<{recipient}>")[:3]

    def test_the_counterexample_relays_and_without_the_hole_it_does_not(self):
        with Daemon(OPEN) as daemon, Postfix(f"inet:127.0.0.1:{daemon.port}", settings=LEFT_TO_THE_MILTER) as mta:
            said = self.check(daemon)
            self.assertIn("RG1701", said.stderr)
            self.assertIn("by hole", said.stderr)
            transaction = said.stderr
            self.assertEqual(self.play(mta, transaction), "250")
        closed = OPEN.replace("accept = true", "reply = 550")
        with Daemon(closed) as daemon, Postfix(f"inet:127.0.0.1:{daemon.port}", settings=LEFT_TO_THE_MILTER) as mta:
            said = self.check(daemon)
            self.assertIn("no stranger can relay through this policy (proved)", said.stdout)
            with self.assertRaises(AssertionError):  # refused at MAIL already
                self.play(mta, transaction)
            for helo in ("friend.test", "other.test"):
                with Client(mta.port) as client:
                    client(f"EHLO {helo}")
                    client("MAIL FROM:<a@stranger.test>")
                    self.assertEqual(client("RCPT TO:<b@foreign.test>")[:3], "571")


if __name__ == "__main__":
    mta_test.main()
