"""What becomes of mail that a real Postfix delivers feeds the policy: a stolen account that guesses addresses is stopped
within 60 recipients, a newsletter with a few dead addresses is not. REPLYGATE_NEWSLETTER=N sends to so many (10000).
"""

import json
import os
import socket
import subprocess
import time
import unittest

import mta_test
import postfix
from daemon import BINARY, Daemon, wait_until
from delivering import delivering, followed
from smtp import Client
from test_logs import Tempers

NEWSLETTER = int(os.environ.get("REPLYGATE_NEWSLETTER", "10000"))
MILTER, SMTPD = 8897, 2630

POLICY = """
[control]
listen = "unix:{folder}/control.sock"
[site]
local_domains = ["local.test"]
relay = "mta"
[history]
path = "{folder}/history"
[outcomes]
log = "{folder}/mail.log"
[[rule]]
name = "stolen-account"
per = "sender"
limit = "10% hard_bounces / 1h"
at_least = "50 recipients"
reply = {{ code = 450, text = "Too many of your recipients do not exist; try again in {{retry_after}}" }}
[[rule]]
name = "dead"
when = {{ recipient_dead = true }}
reply = "unknown-user"
[[rule]]
name = "watch"
per = "sender"
limit = ["1M deliveries / 1d", "1M hard_bounces / 1d", "1M deferrals / 1d", "1M blocked / 1d"]
reply = 450
"""

SETTINGS = """
smtp_destination_rate_delay = 0
default_destination_concurrency_failed_cohort_limit = 0
default_process_limit = 50
smtpd_recipient_limit = 2000
"""


class Site:
    """A daemon that follows the log of its Postfix, which delivers to a server of many tempers."""

    def __init__(self):
        self.tempers = Tempers()
        self.daemon = Daemon("", port=MILTER)
        self.daemon.stop()
        folder = self.daemon.folder
        self.daemon.policy_file.write_text(self.daemon.policy_file.read_text() + POLICY.format(folder=folder))
        self.daemon.start()
        with delivering():
            self.mta = postfix.Postfix(f"inet:127.0.0.1:{MILTER}", port=SMTPD, settings=followed(folder, "2s", SETTINGS))

    def __enter__(self):
        return self

    def __exit__(self, *args):
        self.mta.stop()
        self.daemon.__exit__(*args)
        self.tempers.__exit__(*args)

    def ask(self, **request):
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(20)
            control.connect(f"{self.daemon.folder}/control.sock")
            control.sendall(json.dumps({"v": 1, **request}).encode() + b"\n")
            return json.loads(control.makefile().readline())["result"]

    def used(self, sender):
        rows = self.ask(command="quota-show", key=sender)["limits"]
        return {row["limit"].split()[1]: row["used"] for row in rows if row["rule"] == "watch"}


class Outcomes(unittest.TestCase):
    def test_a_thief_is_stopped_and_a_newsletter_is_not(self):
        with Site() as site:
            self.thief(site)
            self.tempers(site)
            self.newsletter(site)
            self.replays(site)

    def thief(self, site):
        """One in five of the addresses that he guesses does not exist."""
        with Client(SMTPD, source="127.0.0.1") as client:
            client("EHLO h.test")
            for number in range(1, 200):
                name = "hard" if number % 5 == 0 else "a"
                said = client.message("thief@local.test", [f"{name}{number}.t@there.test"])
                if not said["rcpt"][0].startswith("250"):
                    break
                time.sleep(0.1)
            again = client.message("thief@local.test", ["a1.t@there.test"])
            other = client.message("other@local.test", ["a1.t@there.test"])
        print(f"the thief was stopped at recipient {number}")
        self.assertTrue(51 <= number <= 60, number)
        self.assertRegex(said["rcpt"][0], r"^450 4\.7\.1 .*Too many of your recipients do not exist; try again in \d+")
        self.assertTrue(again["rcpt"][0].startswith("450"), again)
        self.assertTrue(other["end"].startswith("250"), other)

    def tempers(self, site):
        sender = "moody@local.test"
        with Client(SMTPD, source="127.0.0.1") as client:
            client("EHLO h.test")
            for names in (["soft1.m", "hard2.m", "blocked3.m", "a4.m"], ["a5.m", "full6.m"]):
                said = client.message(sender, [f"{name}@there.test" for name in names])
                self.assertTrue(said["end"].startswith("250"), said)
            expected = {"deliveries": 3, "hard_bounces": 1, "blocked": 1, "deferrals": 2}
            wait_until(lambda: site.used(sender) == expected, f"{expected}, there is {site.used(sender)}", 60)
            dead = client.message(sender, ["hard2.m@there.test"])
            self.assertTrue(dead["rcpt"][0].startswith("550 5.1.1"), dead)

    def newsletter(self, site):
        sender, dead, begin = "news@local.test", 0, time.monotonic()
        with Client(SMTPD, source="127.0.0.1") as client:
            client("EHLO h.test")
            for first in range(0, NEWSLETTER, 100):
                names = ["hard" if number % 50 == 49 else "a" for number in range(first, first + 100)]
                dead += names.count("hard")
                said = client.message(sender, [f"{name}{first + i}.n@there.test" for i, name in enumerate(names)])
                refused = [reply for reply in said["rcpt"] if not reply.startswith("250")]
                self.assertEqual(refused, [], first)
                self.assertTrue(said["end"].startswith("250"), said)
        expected = {"deliveries": NEWSLETTER - dead, "hard_bounces": dead, "blocked": 0, "deferrals": 0}
        wait_until(lambda: site.used(sender) == expected, f"{expected}, there is {site.used(sender)}", 300)
        print(f"the newsletter of {NEWSLETTER} with {dead} dead addresses went through in {time.monotonic() - begin:.0f} s")

    def replays(self, site):
        """The history says the same again, outcomes and all; a stricter policy stops the thief earlier, also from the log."""
        def replay(policy, *more):
            said = subprocess.run([BINARY, "replay", policy, "--json", *more], capture_output=True, text=True, check=True)
            return json.loads(said.stdout)

        folder = site.daemon.folder
        wait_until(lambda: replay(site.daemon.policy_file)["outcomes"] > NEWSLETTER, "the history", 30)
        same = replay(site.daemon.policy_file)
        print(f"replayed {same['messages']} messages and {same['outcomes']} outcomes")
        self.assertEqual((same["same"], same["left"], same["not_judged"]), (same["recipients"], 0, []), same)
        stricter = folder / "stricter.toml"
        text = site.daemon.policy_file.read_text()
        stricter.write_text(text.replace('at_least = "50 recipients"', 'at_least = "20 recipients"'))
        for source in ((), ("--postfix", folder / "mail.log")):
            now = replay(stricter, *source)
            self.assertEqual(now["not_judged"], [], source)
            keys = {key["key"]: key["recipients"] for rule in now["newly_refused"]["rules"] for key in rule["keys"]}
            self.assertEqual(set(keys), {"thief@local.test"}, (source, now))
            self.assertTrue(20 <= keys["thief@local.test"] <= 40, (source, keys))


if __name__ == "__main__":
    mta_test.begin()
    unittest.main()
