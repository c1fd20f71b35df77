"""Each refusal reaches the client as the policy words it, at each stage, through both MTAs, with the right record.

A 421 decided at connect or HELO closes the connection at once; at connect both MTAs word it by themselves. Every other
refusal decided there is given at MAIL. Sendmail puts the address before the text of 450, 550 and 553 at
MAIL and RCPT. 421 closes the connection on both MTAs, 521 on Postfix; nothing else does.
"""

import unittest

import mta_test
from daemon import Daemon
from smtp import Client

CODES = (421, 450, 451, 452, 453, 454, 521, 530, 534, 538, 550, 551, 552, 553, 554, 557, 571, 572)
STAGES = ("connect", "helo", "mail", "rcpt", "data", "message")


def text(code, stage):
    return f"policy says {code} at {stage}, 100% sure"


def when(code, stage):
    return {
        "connect": f'client_ip = "127.10.{code // 100}.{code % 100}"',
        "helo": f'helo = "c{code}.helo.test"',
        "mail": f'sender = "c{code}@mail.test"',
        "rcpt": f'recipient = "c{code}@local.test"',
        "data": f'sender = "c{code}@data.test"',
        "message": f'sender = "c{code}@message.test"',
    }[stage]


def rule(code, stage):
    at = f'at = "{stage}"\n' if stage in ("data", "message") else ""
    return (
        f'[[rule]]\nname = "{stage}-{code}"\nwhen = {{ {when(code, stage)} }}\n{at}'
        f'reply = {{ code = {code}, enhanced = "{code // 100}.7.{code % 100}", text = "{text(code, stage)}" }}\n'
    )


POLICY = "".join(rule(code, stage) for code in CODES for stage in STAGES)


def dialogue(client, code, stage):
    """Plays a session up to the refusal; gives the refusal and what it was an answer to."""
    if code == 421 and stage == "connect":
        return client.banner[0], None
    if code == 421 and stage == "helo":
        return client("EHLO c421.helo.test"), None
    client(f"EHLO c{code}.helo.test" if stage == "helo" else "EHLO client.test")
    sender = f"c{code}@{stage}.test" if stage in ("mail", "data", "message") else "s@sender.test"
    reply = client(f"MAIL FROM:<{sender}>")
    if stage in ("connect", "helo", "mail"):
        return reply, sender
    assert reply.startswith("250"), reply
    recipient = f"c{code}@local.test" if stage == "rcpt" else "user@local.test"
    reply = client(f"RCPT TO:<{recipient}>")
    if stage == "rcpt":
        return reply, recipient
    assert reply.startswith("250"), reply
    reply = client("DATA")
    if stage == "data":
        return reply, None
    assert reply.startswith("354"), reply
    return client("Subject: x\r\n\r\nx\r\n."), None


class Replies(unittest.TestCase):
    def check(self, name, mta, daemon):
        for code in CODES:
            for stage in STAGES:
                with self.subTest(mta=name, code=code, stage=stage):
                    self.check_one(name, mta, daemon, code, stage)

    def check_one(self, name, mta, daemon, code, stage):
        source = f"127.10.{code // 100}.{code % 100}" if stage == "connect" else "127.0.0.2"
        known = len(daemon.records())
        with Client(mta.port, source) as client:
            reply, address = dialogue(client, code, stage)
            prefix = f"<{address}>... " if name == "sendmail" and address and code in (450, 550, 553) else ""
            if code == 421 and stage == "connect":
                self.assertRegex(reply, "^421 .*(Service unavailable - try again later|closing connection)$")
            else:
                self.assertEqual(reply, f"{code} {code // 100}.7.{code % 100} {prefix}{text(code, stage)}")
            if code == 421 or (code == 521 and name == "postfix"):
                self.assertTrue(client.closed())
            else:
                self.assertTrue(client("NOOP").startswith("250"))
                client("RSET")
                self.assertTrue(client("QUIT").startswith("221"))
        record = daemon.records(known + 1)[known]
        said = record["recipients"][0] if stage == "rcpt" else record["message"]
        self.assertEqual(record["outcome"], "refused")
        self.assertEqual(said["action"], "refuse")
        self.assertEqual(
            said["reply"], {"code": code, "enhanced": f"{code // 100}.7.{code % 100}", "text": text(code, stage)}
        )
        self.assertEqual(said["severity"], "transient" if code < 500 else "permanent")
        self.assertEqual(said["bounce"], "soft" if code < 500 else "hard")
        self.assertEqual(said["rule"], f"{stage}-{code}")
        self.assertRegex(said["place"], r"policy\.toml:\d+$")
        self.assertTrue(said["classification"])

    def test_every_code_at_every_stage(self):
        with Daemon(POLICY) as daemon:
            for name, start in mta_test.both(daemon.port):
                with start() as mta:
                    self.check(name, mta, daemon)

    def test_several_lines_and_hostile_values(self):
        policy = (
            '[[rule]]\nname = "r"\nwhen = { sender = "*%*" }\n'
            'reply = { code = 554, text = ["100% no to {sender}", "%s %d", "bye"] }\n'
        )
        with Daemon(policy) as daemon:
            for name, start in mta_test.both(daemon.port):
                with self.subTest(mta=name), start() as mta, Client(mta.port) as client:
                    client("EHLO client.test")
                    reply = client("MAIL FROM:<a%sb%n@sender.test>")
                    self.assertEqual(reply, "554-5.7.1 100% no to a%sb%n@sender.test\n554-5.7.1 %s %d\n554 5.7.1 bye")

    def test_after_a_refused_recipient_the_others_go_on(self):
        with Daemon(POLICY) as daemon:
            for name, start in mta_test.both(daemon.port):
                with self.subTest(mta=name), start() as mta, Client(mta.port) as client:
                    client("EHLO client.test")
                    said = client.message("s@sender.test", ["a@local.test", "c571@local.test", "b@local.test"])
                    self.assertEqual([reply[:3] for reply in said["rcpt"]], ["250", "571", "250"])
                    self.assertEqual(said["end"][:3], "250")

    def test_recipients_that_the_mta_refused_are_recorded(self):
        with Daemon("") as daemon:
            for name, start in mta_test.both(daemon.port):
                with self.subTest(mta=name), start() as mta, Client(mta.port) as client:
                    known = len(daemon.records())
                    client("EHLO client.test")
                    said = client.message("s@sender.test", ["user@local.test", "x@foreign.test"])
                    self.assertEqual(said["rcpt"][1][0], "5")
                    record = daemon.records(known + 1)[known]
                    if name == "postfix":  # Sendmail does not show recipients that its relay check refuses
                        refused = record["recipients"][1]
                        self.assertEqual(refused["action"], "mta-refused")
                        self.assertEqual(refused["reply"], {"enhanced": "5.7.1", "text": "Relay access denied"})
                        self.assertEqual(refused["bounce"], "hard")


if __name__ == "__main__":
    mta_test.main()
