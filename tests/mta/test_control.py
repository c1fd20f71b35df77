"""The control socket and the metrics beside real mail: what admins see and change is what the MTA's clients feel."""

import json
import os
import select
import shutil
import signal
import socket
import subprocess
import unittest
import unittest.mock

import mta_test
from daemon import BINARY, Daemon, wait_until
from smtp import Client

RULE = '[[rule]]\nname = "r"\nwhen = {{ recipient = "bad@local.test" }}\nreply = {{ code = {}, text = "no" }}\n'
QUOTA = '[[rule]]\nname = "quota"\nper = "sender"\nlimit = "2 recipients / 1h"\nreply = "quota-exceeded"\n'


class ServedDaemon(Daemon):
    """A daemon with its services at sockets in its folder."""

    def __init__(self, rules, **more):
        self.rules = rules
        super().__init__("", **more)

    def start(self):
        text = self.policy_file.read_text()
        if "[control]" not in text:
            self.head = text + (
                f'[control]\nlisten = "unix:{self.folder}/control.sock"\n[metrics]\nlisten = "unix:{self.folder}/metrics.sock"\n'
                f'[history]\npath = "{self.folder}/history"\n'
            )
            self.write(self.rules)
        with unittest.mock.patch.dict(os.environ, STATE_DIRECTORY=str(self.folder)):
            super().start()

    def write(self, rules):
        self.policy_file.write_text(self.head + rules)

    def command(self, *words):
        return subprocess.run([BINARY, *words, "--socket", f"{self.folder}/control.sock"], capture_output=True, text=True)

    def get(self, path):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(f"{self.folder}/metrics.sock")
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
            with client.makefile("rb") as stream:
                return stream.read().decode()


def send(client, sender, recipient):
    client(f"MAIL FROM:<{sender}>")
    answer = client(f"RCPT TO:<{recipient}>")
    if answer[0] != "2":
        if answer[:3] != "421":  # which ends the session
            client("RSET")
        return answer
    client("DATA")
    return client("Subject: x\r\n\r\nx\r\n.")


# Whoever claims the sender of our notes is refused, but over the connection of a note.
NOTES = """
[notify]
to = ["admin@local.test"]
from = "replygate@sender.test"
smtp = "inet:{}@127.0.0.1"
[[rule]]
name = "claims-to-be-us"
when = {{ sender = "replygate@sender.test" }}
reply = 554
"""


class Control(unittest.TestCase):
    def test_a_note_passes_by_its_connection_alone(self):
        for (name, start), port in zip(mta_test.both(8893), (2625, 2626)):
            with self.subTest(mta=name), ServedDaemon(NOTES.format(port) + QUOTA) as daemon, start() as mta:
                self.assertEqual(mta.port, port)
                with Client(mta.port) as client:
                    client("EHLO client.test")
                    self.assertEqual(client("MAIL FROM:<replygate@sender.test>")[:3], "554")
                    for code in ("250", "250", "452"):
                        self.assertEqual(send(client, "s@sender.test", "u@local.test")[:3], code)

                def notes():
                    return json.loads(daemon.command("status", "--json").stdout)["notify"]

                wait_until(lambda: notes()["sent"] + notes()["failed"] > 0, "a note")
                self.assertEqual((notes()["sent"], notes()["failed"]), (1, 0), notes())

    def test_a_reload_is_felt_by_new_sessions_alone(self):
        for name, start in mta_test.both(8893):
            with self.subTest(mta=name), ServedDaemon(RULE.format(550)) as daemon, start() as mta:
                with Client(mta.port) as old:
                    old("EHLO client.test")
                    self.assertEqual(send(old, "s@sender.test", "bad@local.test")[:3], "550")
                    daemon.write(RULE.format(554))
                    self.assertEqual(daemon.command("reload").returncode, 0)
                    with Client(mta.port) as new:
                        new("EHLO client.test")
                        self.assertEqual(send(new, "s@sender.test", "bad@local.test")[:3], "554")
                    self.assertEqual(send(old, "s@sender.test", "bad@local.test")[:3], "550")
                daemon.write(RULE.format(250))
                broken = daemon.command("reload")
                self.assertEqual(broken.returncode, 78)
                self.assertIn("error[RG1201]", broken.stderr)
                status = daemon.command("status")
                self.assertEqual(status.returncode, 1)
                self.assertIn("the last reload was rejected", status.stdout)
                daemon.write(RULE.format(551))
                daemon.signal(signal.SIGHUP)
                wait_until(lambda: "SIGHUP: reloaded" in (daemon.folder / "errors").read_text(), "the reload")
                with Client(mta.port) as new:
                    new("EHLO client.test")
                    self.assertEqual(send(new, "s@sender.test", "bad@local.test")[:3], "551")

    def replays_its_history(self, daemon):
        run = subprocess.run([BINARY, "replay", daemon.policy_file, "--json"], capture_output=True, text=True, check=True)
        replayed = json.loads(run.stdout)
        self.assertGreaterEqual(replayed["recipients"], 2)
        self.assertEqual(replayed["same"], replayed["recipients"])

    def test_why_knows_the_queue_id_and_quota_what_is_used(self):
        for name, start in mta_test.both(8893):
            with self.subTest(mta=name), ServedDaemon(QUOTA) as daemon, start() as mta, Client(mta.port) as client:
                client("EHLO client.test")
                for _ in range(2):
                    self.assertEqual(send(client, "s@sender.test", "u@local.test")[:3], "250")
                self.assertEqual(send(client, "s@sender.test", "u@local.test")[:3], "452")
                records = daemon.records(2)
                queue_id = records[0]["queue_id"]
                self.assertNotEqual(queue_id, "")
                wait_until(lambda: daemon.command("why", queue_id).returncode == 0, "the history")
                self.assertIn("let through", daemon.command("why", queue_id).stdout)
                self.assertEqual(daemon.command("why", "nobody@nowhere.test").returncode, 1)
                self.replays_its_history(daemon)
                used = json.loads(daemon.command("quota", "show", "s@sender.test", "--json").stdout)
                self.assertEqual((used["limits"][0]["used"], used["limits"][0]["left"]), (2, 0))
                self.assertEqual(daemon.command("quota", "raise", "s@sender.test", "--until", "1h").returncode, 0)
                with Client(mta.port) as new:
                    new("EHLO client.test")
                    self.assertEqual(send(new, "s@sender.test", "u@local.test")[:3], "250")
                # Postfix passes the RSET on with what comes next.
                self.assertEqual(send(client, "t@sender.test", "u@local.test")[:3], "250")
                daemon.records(5)
                counted = 'replygate_refusals_total{rule="quota",stage="rcpt",code="452",class="quota-exceeded"} 1'
                metrics = daemon.get("/metrics").split("\r\n\r\n", 1)[1]
                self.assertTrue(counted in metrics)
                if shutil.which("promtool"):
                    subprocess.run(["promtool", "check", "metrics"], input=metrics, text=True, check=True)

    def test_a_drain_turns_new_sessions_away_and_lets_open_ones_end(self):
        for name, start in mta_test.both(8893):
            with self.subTest(mta=name), ServedDaemon(QUOTA) as daemon, start() as mta, Client(mta.port) as old:
                old("EHLO client.test")
                # An MTA tells of a client only when an answer is wanted.
                self.assertEqual(send(old, "s@sender.test", "u@local.test")[:3], "250")
                self.assertEqual(daemon.command("drain").returncode, 0)
                self.assertEqual(send(old, "s@sender.test", "u@local.test")[:3], "250")
                with Client(mta.port) as new:
                    new("EHLO client.test")
                    self.assertEqual(send(new, "s@sender.test", "u@local.test")[:3], "421")
                self.assertIn("503", daemon.get("/readyz").splitlines()[0])
                self.assertEqual(daemon.command("status").returncode, 1)
                daemon.command("drain", "--off")
                with Client(mta.port) as new:
                    new("EHLO client.test")
                    self.assertEqual(send(new, "t@sender.test", "u@local.test")[:3], "250")
                self.assertIn("200", daemon.get("/readyz").splitlines()[0])

    def test_tail_shows_mail_as_it_comes(self):
        _, start = mta_test.both(8893)[0]
        with ServedDaemon(RULE.format(550)) as daemon, start() as mta, Client(mta.port) as client:
            words = [BINARY, "tail", "--rule", "r", "--socket", f"{daemon.folder}/control.sock"]
            with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as tail:
                client("EHLO client.test")
                # Whether it watches already cannot be seen: mail goes on until it shows some.
                for sender in range(2000):
                    send(client, f"s{sender}@sender.test", "bad@local.test")
                    send(client, f"s{sender}@sender.test", "u@local.test")
                    if select.select([tail.stdout], [], [], 0.05)[0]:
                        break
                line = tail.stdout.readline()
                self.assertIn("refused 550", line)
                tail.terminate()

    def test_doctor_and_setup_know_a_real_postfix(self):
        _, start = mta_test.both(8893)[0]
        with ServedDaemon(QUOTA) as daemon, start() as mta:
            words = ["doctor", "-c", str(daemon.policy_file), "--postfix", str(mta.etc), "--socket",
                     f"{daemon.folder}/control.sock"]
            mta.edit(non_smtpd_milters="inet:127.0.0.1:8893")
            said = subprocess.run([BINARY, *words], capture_output=True, text=True)
            self.assertIn("ok       postfix   asks replygate as the policy needs it", said.stdout)
            mta.edit(smtpd_milters="", milter_default_action="accept")
            said = subprocess.run([BINARY, *words], capture_output=True, text=True)
            self.assertEqual(said.returncode, 1)
            self.assertIn("replygate is never asked", said.stdout)
            setup = [BINARY, "setup", "postfix", "-c", str(daemon.policy_file), "--folder", str(mta.etc)]
            shown = subprocess.run(setup, capture_output=True, text=True)
            self.assertEqual(shown.returncode, 1)
            self.assertIn("+smtpd_milters = inet:127.0.0.1:8893", shown.stdout)
            self.assertIn("+milter_default_action = tempfail", shown.stdout)
            self.assertEqual(subprocess.run([*setup, "--apply"], capture_output=True).returncode, 0)
            self.assertEqual(subprocess.run(setup, capture_output=True).returncode, 0)


if __name__ == "__main__":
    mta_test.main()
