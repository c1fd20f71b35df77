"""What became of mail that a real Postfix delivers to a server of many tempers, as admins see it: `why`, `tail --outcomes`,
metrics, notes and the report."""

import json
import subprocess
import threading
import unittest

import mta_test
import postfix
from daemon import BINARY, wait_until
from delivering import delivering, followed
from smtp import Client
from test_control import ServedDaemon
from test_logs import Tempers

POLICY = """
[outcomes]
log = "{folder}/mail.log"
[notify]
to = "admin@noted.test"
from = "replygate@sender.test"
smtp = "inet:2625@127.0.0.1"
"""


class Seen(unittest.TestCase):
    def setUp(self):
        self.enterContext(delivering())

    def json(self, *words):
        return json.loads(self.daemon.command(*words, "--json").stdout)

    def kinds(self, queue_id):
        """What became of each recipient, by address."""
        answer = self.json("why", queue_id)
        record = answer["records"][0]
        return {r["recipient"]: [o["outcome"] for o in r.get("outcomes", [])]
                for r in record["recipients"] + record.get("more", [])}

    def send(self, recipients, sender="alice@local.test"):
        with Client(2625, source="127.0.0.1") as client:
            client("EHLO h.test")
            said = client.message(sender, recipients)
        return said["end"].split()[-1]

    def look_at_one_mail(self):
        names = ["a1", "soft1", "hard1", "blocked1"]
        queue_id = self.send([f"{name}@there.test" for name in names])
        wanted = {"a1@there.test": ["delivered"], "soft1@there.test": ["deferred", "delivered"],
                  "hard1@there.test": ["hard_bounce"], "blocked1@there.test": ["blocked"],
                  "archive@there.test": ["delivered"]}
        wait_until(lambda: self.kinds(queue_id) == wanted, f"{wanted}, it is {self.kinds(queue_id)}", 60)
        shown = self.daemon.command("why", queue_id).stdout
        for part in (r"became  [\d:]+ delivered by 127\.0\.0\.1: 250 2\.0\.0 Ok", r"became  [\d:]+ deferred \(",
                     r"bounced, the address is dead \(user_unknown\)", r"bounced, they refuse us \(ip_blocked\)",
                     r"added   <archive@there\.test> by the MTA"):
            self.assertRegex(shown, part)
        self.assertEqual(shown.count("\n  do      "), 2)
        # An address leads to the same, and so does the one that the MTA added.
        for word in ("hard1@there.test", "archive@there.test"):
            self.assertEqual(self.json("why", word)["records"][0]["queue_id"], queue_id)
        return queue_id

    def test_what_became_of_mail(self):
        with Tempers(), ServedDaemon("") as self.daemon:
            folder = self.daemon.folder
            self.daemon.write(POLICY.format(folder=folder))
            self.daemon.stop()
            self.daemon.start()
            settings = followed(folder, "1s", "always_bcc = archive@there.test\n")
            with postfix.Postfix("inet:127.0.0.1:8893", settings=settings):
                lines = []
                tail = subprocess.Popen([BINARY, "tail", "--outcomes", "--socket", f"{folder}/control.sock"],
                                        stdout=subprocess.PIPE, text=True)
                threading.Thread(target=lambda: lines.extend(iter(tail.stdout.readline, "")), daemon=True).start()
                self.look_at_one_mail()
                for number in range(6):
                    self.send([f"blocked{number}@there.test"], "bob@local.test")
                wait_until(lambda: "blocked" in self.daemon.get("/metrics"), "metrics")
                wait_until(lambda: sum("they refuse us" in line for line in lines) >= 7, f"the tail, it is {lines}", 60)
                tail.kill()
                tail.wait()
                tail.stdout.close()
                # The note is mail, whose outcome is one more.
                told = self.noted()
                self.assertRegex(self.daemon.get("/metrics"),
                                 r'replygate_outcomes_total\{outcome="hard_bounce",reason="user_unknown",class="[^"]+",'
                                 r'provider="\(other\)"\} 1\n')
                self.assertIn("they refuse us: 7", told)
                self.assertIn("addresses that died: 1", told)

    def noted(self):
        """The report, once the note of being blocked has gone."""
        wait_until(lambda: self.json("status")["notify"]["sent"] >= 1, "a note", 60)
        report = subprocess.run([BINARY, "report", "--history", f"{self.daemon.folder}/history"], capture_output=True, text=True)
        self.assertEqual(report.returncode, 0, report.stderr)
        return report.stdout


if __name__ == "__main__":
    mta_test.main()
