"""The offline commands as users call them: output, exit status, JSON."""

import contextlib
import json
import os
import pathlib
import sqlite3
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree

BINARY = sys.argv.pop(1)

CLOSED = """version = 1
[site]
local_domains = ["example.org"]
[[rule]]
name = "closed"
unless = { recipient_domain = "$local_domains", authenticated = true }
reply = "relay-denied"
"""
TESTED = """version = 1
[site]
trusted_networks = ["127.0.0.1"]
[[rule]]
name = "closed"
unless = { client_ip = "$trusted_networks" }
reply = "relay-denied"
at = "rcpt"
[[rule]]
name = "quota"
per = "sender"
limit = "1 recipients / 1h"
reply = "quota-exceeded"
[[test]]
name = "one is kept"
given = { client = "127.0.0.1", from = "a@b.example" }
rcpt = "c@d.example"
expect = { accepted = 1 }
[[test]]
name = "two are kept"
given = { client = "127.0.0.1", from = "a@b.example" }
rcpt = ["c@d.example", "e@d.example"]
expect = { accepted = 2 }
"""
# Format and options, what is imported, how many lines are lost, what must come out.
IMPORTS = [
    ("access --as client", "192.0.2.7 REJECT spammer\n# a comment\n10.1 OK\nbad.example 550 5.7.1 No {thanks}\nx FILTER a:b\n", 3,
     ["(replygate has no such action)", "(hangs on line 5)"]),
    ("access --as client", "192.0.2.7 REJECT spammer\n# a comment\n10.1 REJECT\nbad.example 550 5.7.1 No {thanks}\nok.bad.example OK\n", 0,
     ['when   = { client_ip = "192.0.2.7" }', 'enhanced = "5.7.1", text = "spammer" }', '"10.1.0.0/16"',
      'client_name = ".bad.example"', 'text = "No {{thanks}}"', 'unless = { client_name = ".ok.bad.example" }']),
    ("access --as sender", "a@b.example DISCARD\nspam@ HOLD look\n<> DUNNO\nevil.example REJECT\n", 0,
     ["discard = true", 'hold   = "look"', 'sender = "spam@"', 'when   = { sender = ".evil.example" }', "code = 554"]),
    ("access --as recipient", "a@b.example DISCARD\nclosed@ 550 gone\n", 2, ["cannot discard"]),
    ("access --as recipient --delimiter +", "closed@ 550 gone\n", 0, ['recipient = ["closed@", "closed+*@"]', 'text = "gone"']),
    ("access --as sender --dotted-parents", ".b.example REJECT\n", 0, ['sender = "@*.b.example"']),
    ("access --as helo", "localhost REJECT\n", 0, ['helo = ".localhost"']),
    ("postfwd --prefix old",
     "&&BAD { client_name=~dynamic; helo_name==localhost; };\n"
     "id=R1; &&BAD; action=REJECT go away\n"
     "id=R2; sender_domain==example.org; client_address=10.0.0.0/8,192.168.0.0/16; action=550 5.7.1 not you\n"
     "id=R3; sasl_username=~.; action=rate(sasl_username/100/3600/450 4.7.1 slow down)\n"
     "id=R4; size=>10000000; action=552 5.3.4 too big\n"
     "id=R5; recipient_count=>50;\n  action=HOLD many\n"
     "id=R6; rbl=zen.spamhaus.org; action=REJECT listed\n"
     "id=R7; sender==a@b.example; action=jump(R9)\n"
     "id=R8; sender==a@b.example; action=PREPEND X-Seen: yes\n"
     "id=R9; sender==a@b.example; action=REJECT\n", 4,
     ['client_name = "/dynamic/"', 'helo = "localhost"', 'text = "go away"', 'client_ip = ["10.0.0.0/8", "192.168.0.0/16"]',
      'limit  = "100 recipients / 1h"', 'per    = "user"', 'declared_size = ">= 10000000 B"', 'hold   = "many"', '"old-R1"',
      "# not carried over: line 9", "(hangs on line 9)", "authenticated = true"]),
    ("policyd-rate-limit",
     'user: "policyd"\nlimits:\n  - [10, 60]\n  - [150, 86400]\nlimits_by_id:\n  news@example.org: []\n  bob: [[1000, 86400]]\n'
     'limit_by_sasl: True\nlimit_by_ip: True\nlimited_networks:\n  - 192.0.2.0/24\nfail_action: "defer_if_permit Rate limit reach"\n'
     "strange_key: 1\n", 1,
     ['limit  = ["10 recipients / 1m", "150 recipients / 1d"]', '"news@example.org" = "unlimited"', '"bob" = "1000 recipients / 1d"',
      'client_ip = "192.0.2.0/24"', 'text = "Rate limit reach"']),
    ("postfix", "smtpd_recipient_restrictions = permit_mynetworks, reject_unknown_sender_domain, reject\nmynetworks = 192.0.2.0/24\n", 0,
     ["# stays with Postfix: reject_unknown_sender_domain", 'unless = { client_ip = "192.0.2.0/24" }']),
    ("postfix", "smtpd_sender_restrictions = check_sender_access hash:/no/such, check_client_access mysql:/x.cf\n", 2,
     ["/no/such cannot be read here", 'listed = "mysql:/x.cf"', 'when = { client_ip = "$listed" }', "export its rows"]),
    ("postfix", "smtpd_sender_restrictions = check_sender_access inline:{a@b.example=REJECT}\n", 1, ["texthash:/path"]),
    ("postfwd", "id=W; sender==a@b.example; action=WARN looks odd\n", 0, ['# line 1: Postfix\'s log no longer says "looks odd"']),
    ("rspamd", 'rates { user = "10 / 1min"; }\n', 0, ['"10 messages / 1m"']),
    ("exim", "deny ratelimit = 100 / 1h / per_rcpt\n", 0, ['"100 recipients / 1h"']),
]


def run(*arguments, input=None, **environment):
    return subprocess.run([BINARY, *arguments], capture_output=True, text=True, input=input,
                          env={**os.environ, **environment})


class Cli(unittest.TestCase):
    def test_exit_status(self):
        self.assertEqual(run().returncode, 64)
        self.assertEqual(run("no-such-command").returncode, 64)
        self.assertIn('did you mean "check"?', run("chek").stderr)
        self.assertEqual(run("version").stdout, run("--version").stdout)
        self.assertEqual(run("help", "check").stdout, run("check", "--help").stdout)
        self.assertEqual(run("explain", "453", "--at", "nowhere").returncode, 64)
        self.assertEqual(run("explain", "999").returncode, 1)
        self.assertEqual(run("explain", "nonsense").returncode, 1)
        self.assertEqual(run("check", "/no/such/file").returncode, 66)
        self.assertEqual(run("run", "--as-root", "-c", "/no/such/file").returncode, 66)
        self.assertEqual(run("--help").returncode, 0)
        self.assertIn("replygate ", run("--version").stdout)

    def test_init(self):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder, "replygate.toml")
            options = ["init", "--domains", "example.org,example.net", "--networks", "10.0.0.0/8", "-c", file]
            written = run(*options)
            self.assertEqual(written.returncode, 0)
            self.assertIn("Next:", written.stdout)
            self.assertEqual(run("check", "--strict", file).returncode, 0)
            self.assertIn("2 tests, 0 failed", run("test", file).stdout)
            before = file.read_text()
            self.assertEqual(run("init", "--print", *options[1:5]).stdout, before)
            again = run(*options)
            self.assertEqual((again.returncode, file.read_text()), (1, before))
            file.write_text("mine")
            self.assertEqual(run(*options, "--replace").returncode, 0)
            self.assertEqual(pathlib.Path(f"{file}.before-replygate").read_text(), "mine")
            wrong = run("init", "--domains", "no domain", "-c", pathlib.Path(folder, "other"))
            self.assertEqual((wrong.returncode, pathlib.Path(folder, "other").exists()), (64, False))

    def test_check(self):
        with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
            def check(text, *options):
                file.seek(0)
                file.truncate()
                file.write(text)
                file.flush()
                return run("check", file.name, *options)

            good = check(CLOSED)
            self.assertEqual((good.returncode, good.stderr), (0, ""))
            self.assertIn("OK, 1 rule, 0 tests, 0 warnings", good.stdout)
            bad = check("version = 1\n[mlter]\n")
            self.assertEqual((bad.returncode, bad.stdout), (78, ""))
            self.assertIn("error[RG1002]", bad.stderr)
            said = json.loads(check("version = 1\n[mlter]\n", "--json").stdout)
            self.assertEqual((said[0]["code"], said[0]["line"], said[0]["column"]), ("RG1002", 2, 2))
            self.assertEqual((said[0]["end_column"], said[0]["help"]), (7, 'did you mean "milter"?'))
            said = json.loads(check("version = 1\n[[rule]]\nname = \"r\"\nreply = 550\naccept = true\n", "--json").stdout)
            self.assertEqual((said[0]["secondary"]["line"], said[0]["secondary"]["label"]), (4, "the other answer"))
            warned = CLOSED + '[[rule]]\nname = "s"\nwhen = { helo = "x" }\nreply = 599\n'
            self.assertEqual(check(warned).returncode, 0)
            self.assertEqual(check(warned, "--strict").returncode, 78)
            self.assertIn("2. s", check(warned, "--show").stdout)

    def test_notes_are_no_warnings(self):
        text = CLOSED + '[[rule]]\nname = "s"\nwhen = { recipients = "> 50" }\nreply = "too-many-recipients"\n'
        said = run("check", "--strict", self.policy(text))
        self.assertEqual(said.returncode, 0, said.stderr)
        self.assertIn("note[RG1315]", said.stderr)
        self.assertIn("0 warnings", said.stdout)
        said = json.loads(run("check", "--json", self.policy(text)).stdout)
        self.assertEqual(said[0]["level"], "note")

    def test_try_reads_how_full_mailboxes_are(self):
        file = self.policy('version = 1\n[mailbox]\nfile = "%s"\n[site]\nlocal_domains = ["x.example"]\nrelay = "mta"\n'
                           '[[rule]]\nname = "full"\nwhen = { mailbox_used = ">= 100%%" }\nreply = "mailbox-full"\n')
        quotas = pathlib.Path(file).with_name("quotas")
        quotas.write_text("\ufefffull@x.example 5 MB 5MB\nfull@x.example 5MB 5MB\n")
        text = pathlib.Path(file).read_text() % quotas
        pathlib.Path(file).write_text(text)
        def code(to, *more):
            return json.loads(run("try", file, "--client", "192.0.2.1", "--from", "a@b.example", "--to", to, "--json",
                                  *more).stdout)["answers"][0]["code"]
        self.assertEqual(code("full@x.example"), 452)
        self.assertEqual(code("alias@x.example"), 250)
        self.assertEqual(code("full@other.example"), 250)
        self.assertEqual(code("full@x.example", "--mailbox-used", "5%"), 250)
        quotas.unlink()
        self.assertEqual(run("try", file, "--client", "192.0.2.1", "--from", "a@b.example", "--to", "a@x.example").returncode,
                         64)

    def policy(self, text):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        file = pathlib.Path(folder.name, "policy.toml")
        file.write_text(text)
        return str(file)

    def test_relaying(self):
        said = run("check", self.policy(CLOSED))
        self.assertIn("no stranger can relay through this policy (proved)", said.stdout)
        file = self.policy("version = 1\n")
        said = run("check", file)
        self.assertEqual(said.returncode, 0)
        self.assertIn("warning[RG1701]: the policy lets a stranger relay: client 203.0.113.7", said.stderr)
        self.assertEqual(run("check", "--strict", file).returncode, 78)
        said = json.loads(run("check", "--json", file).stdout)
        self.assertEqual([d["code"] for d in said], ["RG1701"])
        said = run("check", "--strict", self.policy('version = 1\n[site]\nrelay = "mta"\n'))
        self.assertEqual((said.returncode, said.stderr), (0, ""))
        hidden = CLOSED.replace("authenticated = true", 'helo = "/^a.*b$|^$/"')
        self.assertIn("RG1702", run("check", self.policy(hidden.replace("/^a.*b$|^$/", "/z[0-9]+y/"))).stderr)

    def test_outcomes_need_a_folder(self):
        """Where counters are in no file beside which outcomes could be kept."""
        outcomes = '[store]\nbackend = "memory"\n[outcomes]\nlog = "/var/log/mail.log"\n'
        file = self.policy(CLOSED.replace("[[rule]]", outcomes + "[[rule]]"))
        said = run("check", file, STATE_DIRECTORY="/no/such")
        self.assertEqual(said.returncode, 0)
        self.assertIn("warning[RG1604]: [outcomes] needs a file of its own, and there is no folder /no/such", said.stderr)
        self.assertIn("policy.toml:6:1\n", said.stderr)
        self.assertIn("add to [outcomes] for instance path", said.stderr)
        said = run("run", "--as-root", "-c", file, STATE_DIRECTORY="/no/such")
        self.assertNotEqual(said.returncode, 0)
        self.assertIn("outcomes: /no/such/outcomes.db: unable to open database file; make the folder", said.stderr)
        self.assertEqual(run("check", "--strict", file, STATE_DIRECTORY=str(pathlib.Path(file).parent)).returncode, 0)
        named = self.policy(CLOSED.replace("[[rule]]", outcomes + 'path = "/srv/outcomes.db"\n[[rule]]'))
        self.assertEqual(run("check", "--strict", named, STATE_DIRECTORY="/no/such").returncode, 0)

    def test_policy_tests(self):
        file = self.policy(TESTED)
        said = run("test", file)
        self.assertEqual(said.returncode, 1)
        self.assertIn("ok   one is kept", said.stdout)
        self.assertIn("FAIL two are kept", said.stdout)
        self.assertIn("  - accepted     2\n  + accepted     1\n", said.stdout)
        self.assertIn("note: no test matches the rule closed", said.stdout)
        report = json.loads(run("test", "--json", file).stdout)[0]
        self.assertEqual(report["never_matched"], ["closed"])
        self.assertEqual([test["passed"] for test in report["tests"]], [True, False])
        junit = file + ".xml"
        run("test", "--junit", junit, file)
        suite = xml.etree.ElementTree.parse(junit).getroot()[0]
        self.assertEqual((suite.get("tests"), suite.get("failures")), ("2", "1"))
        said = run("check", file)
        self.assertEqual(said.returncode, 78)
        self.assertIn("error[RG1801]", said.stderr)
        self.assertEqual(run("run", "--as-root", "-c", file).returncode, 78)

    def test_tests_beside_the_policy(self):
        file = self.policy(CLOSED)
        pathlib.Path(file).with_name("policy.test.toml").write_text(
            '[[test]]\nname = "t"\nrcpt = "a@b.example"\nexpect = { code = 571 }\n'
        )
        self.assertIn("1 test, 0 failed", run("test", file).stdout)
        pathlib.Path(file).with_name("policy.test.toml").write_text("[site]\n")
        self.assertIn("RG1002", run("check", file).stderr)

    def test_try(self):
        file = self.policy(TESTED)
        said = run("try", file, "--client", "127.0.0.1", "--from", "a@b.example", "--to", "r{1..3}@c.example",
                   "--at", "2026-11-22T09:00:00Z")
        self.assertEqual(said.returncode, 1)
        lines = said.stdout.splitlines()
        self.assertEqual(lines[0], "r1@c.example: accepted")
        self.assertTrue(lines[1].startswith("r2@c.example to r3@c.example (2): 452 4.7.1 "), lines[1])
        self.assertIn("a@b.example: 1 used + 1 > 1 recipients / 1h", said.stdout)
        again = run("try", file, "--client", "127.0.0.1", "--from", "a@b.example", "--to", "r@c.example",
                    "--at", "2026-11-22T09:00:00Z", "--repeat", "2", "--every", "1m")
        self.assertIn("1 used + 1 > 1 recipients / 1h; room at 2026-11-22T10:0", again.stdout)
        self.assertEqual(run("try", file, "--client", "127.0.0.1", "--from", "a@b.example", "--to", "r@c.example").returncode, 0)
        self.assertEqual(run("try", "--client", "127.0.0.1", "--from", "a@b.example", "--to", "r@c.example", file).returncode, 0)
        said = json.loads(run("try", "--json", file, "--client", "203.0.113.9", "--to", "r@c.example").stdout)
        self.assertEqual([(a["code"], a["rule"]) for a in said["answers"]], [(571, "closed")])
        self.assertEqual(said["trace"][-1]["rules"][0]["compared"][0]["truth"], "no")
        state = self.policy('[[counter]]\nrule = "quota"\nlimit = "1 recipients / 1h"\nkey = "a@b.example"\nused = 1\n')
        arguments = ("try", file, "--client", "127.0.0.1", "--from", "a@b.example", "--to", "r@c.example", "--state")
        self.assertEqual(run(*arguments, state).returncode, 1)
        self.assertEqual(run(*arguments, "/no/such").returncode, 66)
        wrong = run(*arguments, self.policy('[[counter]]\nrule = "qouta"\nlimit = "1 recipients / 1h"\nused = 1\n'))
        self.assertEqual(wrong.returncode, 78)
        self.assertIn('did you mean "quota"?', wrong.stderr)
        for option in (("--outcome", "bounces = 1"), ("--outcome", "blocked = 2"), ("--outcome", "blocked = 1", "--repeat", "1"),
                       ("--outcome", "blocked = 1", "--session", "x"), ("--client", "x"), ("--at", "x"), ("--to", "r{1}@x"), ("--size", "big"), ("--every", "x")):
            self.assertEqual(run("try", file, *option).returncode, 64, option)
        self.assertEqual(run("try", "/no/such").returncode, 66)

    def test_try_what_becomes_of_the_mail(self):
        file = self.policy('version = 1\n[site]\nrelay = "mta"\n[outcomes]\nlog = "journal"\n[[rule]]\nname = "dead"\n'
                           'when = { recipient_dead = true }\nreply = 550\n[[rule]]\nname = "thief"\nper = "user"\n'
                           'limit = "10% hard_bounces / 1h"\nat_least = "50 recipients"\nreply = 450\n')
        sent = ("try", file, "--user", "carol", "--from", "c@example.org", "--to", "r{1..60}@there.example")
        said = run(*sent, "--outcome", "hard_bounces = 8, deliveries = 52")
        self.assertEqual(said.returncode, 1)
        self.assertIn("r1@there.example to r60@there.example (60): accepted\n", said.stdout)
        self.assertIn("(60): 450 4.7.1", said.stdout)
        self.assertIn("carol: 8 of 60 recipients, reaches 10% hard_bounces / 1h", said.stdout)
        self.assertEqual(run(*sent, "--outcome", "{ hard_bounces = 5, deferrals = 60, deliveries = 55 }").returncode, 0)
        self.assertEqual(run(*sent, "--outcome", "hard_bounces = 8", "--every", "2h").returncode, 0)
        wrong = run(*sent, "--outcome", "deliveries = 60, blocked = 1")
        self.assertEqual(wrong.returncode, 64)
        self.assertIn("error[RG1802]: 61 final outcomes for 60 recipients\n  --> --outcome:1:11\n", wrong.stderr)
        state = self.policy('dead = ["gone@there.example"]\n[[counter]]\nrule = "thief"\nlimit = "10% hard_bounces / 1h"\n'
                            'key = "carol"\nused = 8\nof = 60\n')
        one = ("try", file, "--from", "c@example.org", "--state", state, "--to")
        self.assertEqual(run(*one, "r@there.example").returncode, 0)
        self.assertIn("450 4.7.1", run(*one, "r@there.example", "--user", "carol").stdout)
        self.assertIn("550 5.1.1", run(*one, "gone@there.example").stdout)
        dialogue = self.policy("EHLO me\nMAIL FROM:<a@b.example>\nRCPT TO:<gone@there.example>\n")
        self.assertIn("S: 550 5.1.1", run("try", file, "--state", state, "--session", dialogue).stdout)
        lost = run(*one[:-2], self.policy('[[counter]]\nrule = "thief"\nlimit = "10% hard_bounces / 1h"\nkey = "carol"\nused = 8\n'))
        self.assertEqual(lost.returncode, 78)
        self.assertIn("a share of how many recipients?", lost.stderr)

    def test_try_a_dialogue(self):
        dialogue = self.policy(
            "# a transcript\nS: 220 hello\nCONNECT 127.0.0.1 localhost\nC: EHLO me\nMAIL FROM:<a@b.example> SIZE=100\n"
            "RCPT TO:<c@d.example>\n250 Ok\nRCPT TO:<e@d.example>\nDATA\nSubject: x\n\nhello\n.\nWAIT 2h\n"
            "MAIL FROM:<a@b.example>\nRCPT TO:<c@d.example>\nRSET\nQUIT\n"
        )
        said = json.loads(run("try", "--json", self.policy(TESTED), "--session", dialogue).stdout)
        self.assertEqual([line["reply"][:3] for line in said["dialogue"]],
                         ["220", "250", "250", "250", "452", "250", "(ti", "250", "250", "250", "221"])
        said = run("try", self.policy(TESTED), "--session", self.policy("EHLO a\nMIAL FROM:<>\n"))
        self.assertEqual(said.returncode, 64)
        self.assertIn(':2: "MIAL" is not a dialogue command', said.stderr)

    def test_import(self):
        for name, text, lost, expected in IMPORTS:
            said = run("import", *name.split(), self.policy(text))
            self.assertEqual(said.returncode, 1 if lost else 0, (name, said.stderr))
            self.assertEqual(len(said.stderr.splitlines()), lost, said.stderr)
            for line in expected:
                self.assertIn(line, said.stdout)
            for policy in (said.stdout, f'version = 1\ninclude = ["{self.policy(said.stdout)}"]\n'):
                checked = run("check", self.policy(policy))
                self.assertEqual(checked.returncode, 0, said.stdout + checked.stderr)
        self.assertEqual(run("import", "access", self.policy("a OK\n")).returncode, 64)
        self.assertEqual(run("import", "policyd-rate-limit", self.policy("a: [\n")).returncode, 78)
        self.assertEqual(run("import", "postfwd", "/no/such").returncode, 66)
        for name in ("cbpolicyd", "iredapd"):
            self.assertEqual(run("import", name, self.policy("nothing")).returncode, 78)

    def test_import_of_a_database(self):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "iredapd.db"
            with contextlib.closing(sqlite3.connect(file)) as database:
                database.execute("create table throttle (id, account, kind, priority, period, msg_size, max_msgs, max_quota)")
                database.execute("insert into throttle values (1, 'a@b.example', 'outbound', 1, 3600, -1, 100, -1)")
                database.commit()
            said = run("import", "iredapd", str(file))
            self.assertEqual((said.returncode, said.stderr), (0, ""))
            self.assertIn('limit  = "100 recipients / 1h"', said.stdout)

    def test_every_command_has_examples(self):
        for command in ("run", "check", "test", "try", "import", "codes", "explain"):
            self.assertIn("Example", run(command, "--help").stdout)


if __name__ == "__main__":
    unittest.main()
