"""`replygate replay` and `suggest` as users call them, on a made log: four weeks of an office of 300 people with office hours,
newsletters, and two stolen accounts."""

import gzip
import json
import pathlib
import random
import subprocess
import sys
import tempfile
import unittest
from datetime import datetime, timedelta, timezone

BINARY = sys.argv.pop(1)
BEGIN = datetime(2026, 11, 2, tzinfo=timezone.utc)  # a Monday
USERS = [f"user{n}@office.example" for n in range(300)]
LETTERS = {f"user{n}@office.example": weekday for n, weekday in ((7, 0), (77, 2), (150, 2), (222, 4))}
STOLEN = {"user137@office.example": 11, "user42@office.example": 23}  # the night, counted from the begin


class Office:
    """Writes what Postfix would, in the order of time."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.mails = []

    def send(self, time, user, recipients):
        self.mails.append((time, user, recipients))

    def at_work(self, user, day, busy):
        if day.weekday() > 4 and self.random.random() > 0.1:
            return
        for _ in range(self.random.randint(0, busy)):
            time = day + timedelta(hours=8, minutes=self.random.betavariate(2, 2) * 600)
            self.send(time, user, 1 if self.random.random() < 0.8 else self.random.randint(2, 12))

    def burst(self, begin, user, mails, recipients, seconds):
        for n in range(mails):
            self.send(begin + timedelta(seconds=n * seconds), user, recipients)

    def weeks(self, first, last):
        self.mails = []
        for number in range(first * 7, last * 7):
            day = BEGIN + timedelta(days=number)
            for n, user in enumerate(USERS):
                self.at_work(user, day, 6 + n % 20)
                if LETTERS.get(user) == day.weekday():
                    self.burst(day + timedelta(hours=9), user, self.random.randint(60, 80), 50, 20)
                if STOLEN.get(user) == number:
                    self.burst(day + timedelta(hours=2), user, 3000, 1, 3)
        return "".join(self.lines())

    def lines(self):
        for n, (time, user, recipients) in enumerate(sorted(self.mails)):
            lead = f"{time.isoformat(timespec='microseconds')} mx postfix/"
            queue_id = f"{n:08X}F0"
            yield (f"{lead}submission/smtpd[1]: {queue_id}: client=pc[192.0.2.{n % 200}], sasl_method=PLAIN, "
                   f"sasl_username={user}\n")
            yield f"{lead}qmgr[1]: {queue_id}: from=<{user}>, size=900, nrcpt={recipients} (queue active)\n"
            for r in range(recipients):
                yield (f"{lead}smtp[1]: {queue_id}: to=<r{r}@far.example>, relay=mx.far.example[192.0.2.9]:25, delay=1, "
                       "delays=0/0/1/0, dsn=2.0.0, status=sent (250 ok)\n")
            yield f"{lead}qmgr[1]: {queue_id}: removed\n"


def run(*arguments, status=0):
    result = subprocess.run([BINARY, *map(str, arguments)], capture_output=True, text=True)
    assert result.returncode == status, (arguments, result.returncode, result.stderr)
    return result


class Past(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.path = pathlib.Path(cls.folder.name)
        office = Office(20261129)
        cls.three, cls.fourth = cls.path / "mail.log.1.gz", cls.path / "mail.log"
        cls.three.write_bytes(gzip.compress(office.weeks(0, 3).encode(), 1))
        cls.fourth.write_text(office.weeks(3, 4))

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def policy(self, text):
        file = self.path / "policy.toml"
        file.write_text(text)
        run("check", file)
        return file

    def test_what_three_weeks_suggest_fits_the_fourth(self):
        suggested = run("suggest", "--postfix", self.three).stdout
        self.assertIn("[rule.override]", suggested)
        for user in LETTERS:
            self.assertIn(f'"{user}" = [', suggested)
        thief = next(line for line in suggested.splitlines() if "user137@" in line)
        self.assertRegex(thief, r"^# Would have been refused: user137@office.example sent to \d+ recipients / 1h on 2026-11-13")
        self.assertNotIn('"user137@', suggested)
        file = self.policy(suggested)
        observed = json.loads(run("replay", file, "--postfix", self.fourth, "--json").stdout)
        self.assertEqual(observed["newly_refused"]["recipients"], 0)
        self.assertGreater(observed["observed"]["recipients"], 0)
        enforced = self.policy("".join(line for line in suggested.splitlines(True) if not line.startswith("mode")))
        now = json.loads(run("replay", enforced, "--postfix", self.fourth, "--json", "-n", "1000").stdout)
        hit = {key["key"] for rule in now["newly_refused"]["rules"] for key in rule["keys"]}
        self.assertIn("user42@office.example", hit)
        print(f"hit in the fourth week: {sorted(hit)}")
        self.assertLessEqual(len(hit - set(STOLEN)), 0.005 * len(USERS))

    def test_suggestions_as_json(self):
        proposals = json.loads(run("suggest", "--postfix", self.three, self.fourth, "--json").stdout)["proposals"]
        hourly = proposals[0]
        self.assertEqual((hourly["per"], hourly["window"], hourly["keys"]), ("user", "1h", len(USERS)))
        self.assertEqual({burst["key"] for burst in hourly["bursts"]}, set(STOLEN))
        self.assertEqual({named["key"] for named in hourly["overrides"]}, set(LETTERS))

    def test_replay_of_a_log(self):
        file = self.policy('version = 1\n[site]\nrelay = "mta"\n[[rule]]\nname = "quota"\nper = "user"\n'
                           'limit = "100 recipients / 1h"\nreply = "quota-exceeded"\n[[rule]]\nname = "greeting"\n'
                           'when = { helo = "x" }\nreply = "bad-helo"\n')
        text = run("replay", file, "--postfix", self.fourth, self.three).stdout
        self.assertRegex(text, r"newly refused  \d+ recipients\n +\d+  quota \(.*policy.toml:4\)\n")
        self.assertIn("used 100 of 100 recipients / 1h", text)
        self.assertIn("a mail log does not tell helo", text)
        self.assertRegex(text, r"read +\d+ lines, \d+ attempts to deliver, 0 of them of unknown mail")
        run("replay", file, "--postfix", self.fourth, "--max-new-refusals", "0", status=1)
        run("replay", file, "--postfix", self.fourth, "--max-new-refusals", "1000000")
        later = json.loads(run("replay", file, "--postfix", self.fourth, "--json", "--since", "2026-11-28T00:00:00Z").stdout)
        self.assertGreater(later["before"], later["recipients"])

    def test_what_became_of_the_mail_is_in_a_log(self):
        log = self.path / "bounces.log"
        lines = []
        for n in range(40):
            lead, queue_id = f"2026-11-29T10:{n:02}:00Z mx postfix/", f"{n:08X}F0"
            said = ("dsn=5.1.1, status=bounced (host mx.far.example[192.0.2.9] said: 550 5.1.1 no such user (in reply to RCPT TO "
                    "command))" if n % 5 == 0 else "dsn=2.0.0, status=sent (250 ok)")
            lines += [f"{lead}submission/smtpd[1]: {queue_id}: client=pc[192.0.2.1], sasl_method=PLAIN, sasl_username=thief",
                      f"{lead}qmgr[1]: {queue_id}: from=<t@office.example>, size=900, nrcpt=1 (queue active)",
                      f"{lead}smtp[1]: {queue_id}: to=<r{n}@far.example>, relay=mx.far.example[192.0.2.9]:25, delay=1, "
                      f"delays=0/0/1/0, {said}", f"{lead}qmgr[1]: {queue_id}: removed"]
        log.write_text("\n".join(lines) + "\n")
        file = self.policy('version = 1\n[site]\nrelay = "mta"\n[outcomes]\nlog = "journal"\n[[rule]]\nname = "stolen"\nper = "user"\n'
                           'limit = "20% hard_bounces / 1h"\nat_least = "20 recipients"\nreply = 450\n[[rule]]\nname = "spam"\n'
                           'per = "user"\nlimit = "9 complaints / 1d"\nreply = 450\n')
        text = run("replay", file, "--postfix", log).stdout
        self.assertIn("outcomes 40, counted at their times\n", text)
        self.assertRegex(text, r"newly refused  20 recipients\n +20  stolen ")
        self.assertRegex(text, r"first [\d: -]+ from <t@office.example> to r20@far.example: 450 ")
        self.assertIn("a mail log does not tell the number of complaints", text)
        self.assertEqual(json.loads(run("replay", file, "--postfix", log, "--json").stdout)["outcomes"], 40)

    def test_a_pipe(self):
        file = self.policy('version = 1\n[site]\nrelay = "mta"\n')
        with open(self.fourth) as log:
            piped = subprocess.run([BINARY, "replay", file, "--postfix", "-", "--json"], stdin=log, capture_output=True, text=True)
        whole = run("replay", file, "--postfix", self.fourth, "--json").stdout
        self.assertEqual(piped.stdout, whole)

    def test_report(self):
        log = self.path / "day.log"
        lead = "2026-11-29T10:00:00Z mx postfix/"
        said = "dsn=5.7.1, status=bounced (host mx.far.example[192.0.2.9] said: 554 5.7.1 blocked using zen.spamhaus.org)"
        log.write_text(f"{lead}smtpd[1]: A1C2A3B4D0: client=c[192.0.2.1]\n"
                       f"{lead}qmgr[1]: A1C2A3B4D0: from=<a@b.example>, size=9, nrcpt=1 (queue active)\n"
                       f"{lead}smtp[1]: A1C2A3B4D0: to=<c@far.example>, relay=mx.far.example[192.0.2.9]:25, delay=1, "
                       f"delays=0/0/1/0, {said}\n")
        options = ("report", "--since", "2026-11-29T00:00:00Z", "--postfix", log)
        text = run(*options).stdout
        self.assertIn("0 delivered, 1 bounced, 0 waiting", text)
        self.assertRegex(text, r'they refuse us: 1\n +1  Spamhaus: ip_blocked; "554 blocked using zen')
        self.assertIn("replygate why A1C2A3B4D0", text)
        self.assertEqual(json.loads(run(*options, "--json").stdout)["they_refuse_us"][0]["provider"], "Spamhaus")
        mail = run(*options, "--mail", "postmaster@b.example").stdout
        self.assertTrue(mail.startswith("To: postmaster@b.example\nSubject: replygate on "))
        self.assertTrue(mail.endswith("\n\n" + text))
        with open(log, "a") as more:
            more.write("2026-11-30T10:00:00Z mx postfix/smtpd[1]: connect from c[192.0.2.1]\n")
        quiet = run("report", "--since", "2026-11-30T00:00:00Z", "--postfix", log).stdout
        self.assertEqual(len(quiet.splitlines()), 1)
        self.assertIn("no history in it", run("report", "--history", self.path, status=66).stderr)

    def test_mistakes(self):
        file = self.policy('version = 1\n[site]\nrelay = "mta"\n')
        self.assertIn("No such file", run("replay", file, "--postfix", self.path / "none", status=66).stderr)
        self.assertIn("it is a folder", run("suggest", "--postfix", self.path, status=66).stderr)
        self.assertIn("no history in it", run("replay", file, "--history", self.path, status=66).stderr)
        self.assertIn("is no time", run("replay", file, "--since", "lately", status=64).stderr)
        run("replay", self.path / "none.toml", status=66)
        (self.path / "empty").write_text("")
        self.assertIn("no mail in it", run("suggest", "--postfix", self.path / "empty", status=66).stderr)
        for options in (("suggest", "--head-room", "nan"), ("suggest", "--head-room", "0.5"), ("report", "--since", ""),
                        ("replay", file, "--since", ""), ("report", "--history", ""), ("suggest", "--postfix", ""),
                        ("replay", file, "--history", self.path, "--postfix", self.fourth),
                        ("replay", file, "--max-new-refusals", "-1"), ("report", "--mail", ""), ("report", "--mail", "a b"),
                        ("report", "--mail", "a@b.example", "--json"), ("report", "--since", "4000d"),
                        ("suggest", "--exim", self.fourth, "--history", self.path)):
            self.assertTrue(run(*options, status=64).stderr, options)

    def test_what_is_no_log_is_no_good_news(self):
        file = self.policy('version = 1\n[site]\nrelay = "mta"\n')
        whole = self.fourth.read_text()
        noise = self.path / "noise"
        for name, octets in (("garbage", random.Random(1).randbytes(20000)), ("program", pathlib.Path(BINARY).read_bytes()[:200000]),
                             ("UTF-16", whole[:20000].encode("utf-16")), ("nothing", b""),
                             ("no mail", b"2026-11-29T10:00:00Z mx kernel: up\n"),
                             ("monotonic", b"[    1.000000] mx postfix/smtpd[1]: A1C2A3B4D0: client=c[192.0.2.1]\n")):
            noise.write_bytes(octets)
            for command in (["report"], ["suggest"], ["replay", file], ["replay", file, "--max-new-refusals", "5"]):
                result = run(*command, "--postfix", noise, status=66)
                self.assertEqual((result.stdout, bool(result.stderr)), ("", True), (name, command))
                if name in ("garbage", "program", "UTF-16", "monotonic"):
                    self.assertIn("no line of it begins with a time that can be read", result.stderr)

    def test_nothing_that_was_compared_is_no_success(self):
        file = self.policy('version = 1\n[site]\nrelay = "mta"\n')
        late = ("--postfix", self.fourth, "--since", "2027-01-01T00:00:00Z")
        self.assertIn("the log ends at 2026-11-", run("report", *late, status=66).stderr)
        self.assertIn("no mail in it", run("suggest", *late, status=66).stderr)
        for options in ([], ["--max-new-refusals", "5"]):
            self.assertIn("nothing was compared", run("replay", file, *late, *options, status=66).stderr)

    def test_rules_that_are_not_judged_refuse_nobody(self):
        file = self.policy('version = 1\n[site]\nrelay = "mta"\n[[rule]]\nname = "visits"\nper = "client_ip"\n'
                           'limit = "1 connections / 1h"\nreply = "quota-exceeded"\n')
        text = run("replay", file, "--postfix", self.fourth, "--max-new-refusals", "0").stdout
        self.assertIn("not judged from here\n  visits ", text)
        self.assertNotIn("newly refused", text)

    def test_logs_of_two_hosts(self):
        hosts = [self.path / "mx1.log", self.path / "mx2.log"]
        texts = ["", ""]
        for hour in range(24):
            lead, queue_id = f"2026-11-29T{hour:02}:00:00Z mx postfix/", f"A{hour:03}F0"
            texts[hour % 2] += (f"{lead}smtpd[1]: {queue_id}: client=pc[192.0.2.1], sasl_method=PLAIN, sasl_username=bob\n"
                                f"{lead}qmgr[1]: {queue_id}: from=<bob@office.example>, size=9, nrcpt=1 (queue active)\n"
                                f"{lead}smtp[1]: {queue_id}: to=<r{hour}@far.example>, relay=none, delay=1, delays=0/0/1/0, "
                                f"dsn=2.0.0, status=sent (250 ok)\n")
        for host, text in zip(hosts, texts):
            host.write_text(text)
        file = self.policy('version = 1\n[site]\nrelay = "mta"\n[[rule]]\nname = "q"\nper = "user"\n'
                           'limit = "3 recipients / 2h"\nreply = "quota-exceeded"\n')
        for order in (hosts, hosts[::-1]):
            played = json.loads(run("replay", file, "--postfix", *order, "--json").stdout)
            self.assertEqual((played["messages"], played["newly_refused"]["recipients"]), (24, 0))
        with open(hosts[0]) as piped:
            result = subprocess.run([BINARY, "replay", file, "--postfix", hosts[1], "-", "--json"], stdin=piped,
                                    capture_output=True, text=True)
        self.assertEqual(json.loads(result.stdout)["newly_refused"]["recipients"], 0)

    def test_one_file_that_ends_early(self):
        file = self.policy('version = 1\n[site]\nrelay = "mta"\n')
        cut = self.path / "cut.gz"
        cut.write_bytes(gzip.compress(self.fourth.read_bytes()[:3000])[:200])
        for command in (["report", "--since", "2026-11-23T00:00:00Z"], ["suggest"], ["replay", file]):
            result = run(*command, "--postfix", cut, self.fourth)
            self.assertIn("cut.gz: it ends early; what stands behind is left out", result.stderr)
            self.assertTrue(result.stdout)
            self.assertIn("cut.gz: it ends early", run(*command, "--postfix", cut, status=66).stderr)

    def test_a_log_that_is_named_twice_is_read_once(self):
        file = self.policy('version = 1\n[site]\nrelay = "mta"\n')
        link = self.path / "same.log"
        link.symlink_to(self.fourth)
        once = run("replay", file, "--postfix", self.fourth, "--json").stdout
        self.assertEqual(run("replay", file, "--postfix", self.fourth, link, self.fourth, "--json").stdout, once)

    def test_octets_that_are_no_text(self):
        log = self.path / "octets.log"
        log.write_bytes(b"".join(
            line.replace(b"user1@", b"us\xff\x9b@").replace(b"r0@far", b"r\xc2\x9b\xe2\x80\xae@far")
            for line in self.fourth.read_bytes().splitlines(keepends=True)))
        policy = self.path / "octets.toml"
        policy.write_text('version = 1\n[[rule]]\nname = "all"\nreply = 550\n')
        for command in (("suggest", "--postfix", log), ("replay", policy, "--postfix", log)):
            json.loads(run(*command, "--json").stdout)
            text = run(*command).stdout
            self.assertFalse([c for c in text if c in "\x9b\u202e"], command)
        policy.write_text(run("suggest", "--postfix", log).stdout)
        run("check", policy)

    def test_output_that_cannot_be_written(self):
        with open("/dev/full", "w") as full:
            for command in (["codes"], ["report", "--since", "2026-11-23T00:00:00Z", "--postfix", str(self.fourth)]):
                result = subprocess.run([BINARY, *command], stdout=full, stderr=subprocess.PIPE, text=True)
                self.assertIn("No space left on device", result.stderr)
                self.assertNotEqual(result.returncode, 0)


if __name__ == "__main__":
    unittest.main()
