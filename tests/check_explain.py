"""`codes` and `explain` as users call them: output, exit status, JSON."""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

BINARY = sys.argv.pop(1)

# The codes of the published list that goes by command.
BY_COMMAND = {
    "connect": "220 421", "HELO": "250 500 501 504 521 421", "EHLO": "250 550 500 501 504 421",
    "MAIL": "250 552 451 452 500 501 421", "RCPT": "250 251 550 551 552 553 450 451 452 500 501 503 521 421",
    "DATA": "354 451 554 500 501 503 421", "message": "250 552 554 451 452", "RSET": "200 250 500 501 504 421",
    "SEND": "250 552 451 452 500 501 502 421", "SOML": "250 552 451 452 500 501 502 421",
    "SAML": "250 552 451 452 500 501 502 421", "VRFY": "250 251 550 551 553 500 501 502 504 421",
    "EXPN": "250 550 500 501 502 504 421", "HELP": "211 214 500 501 502 504 421", "NOOP": "200 250 500 421",
    "QUIT": "221 500", "TURN": "250 502 500 503",
}


def run(*arguments, input=None):
    return subprocess.run([BINARY, *arguments], capture_output=True, text=True, input=input)


class Explain(unittest.TestCase):
    def test_explain_and_why_name_each_other(self):
        for word in ("7Q2KMX4D9A", "4XQ0f52Yhqz9rhN", "alice@example.org", "192.0.2.7"):
            self.assertIn(f"`replygate why {word}` looks for decisions", run("explain", word).stderr)
        self.assertNotIn("why", run("explain", "nonsense").stderr)
        line = ("Nov 29 10:00:00 mx postfix/smtpd[1]: {}: reject: RCPT from unknown[192.0.2.7]: 550 5.7.1 no; "
                "from=<a@b.example> to=<c@d.example> proto=ESMTP helo=<x>")
        self.assertIn("`replygate why 4XQ0f52Yhqz9rhN`", run("explain", line.format("4XQ0f52Yhqz9rhN")).stdout)
        self.assertIn("`replygate why c@d.example`", run("explain", line.format("NOQUEUE")).stdout)

    def test_codes_json(self):
        codes = json.loads(run("codes", "--json").stdout)
        by_code = {row["code"]: row for row in codes}
        self.assertEqual(len(codes), len(by_code))
        row = by_code[453]
        self.assertEqual((row["severity"], row["category"], row["bounce"]), ("transient", "mail system", "soft"))
        self.assertEqual(row["senses"][0], {"meaning": "too many recipients", "sources": ["esa"]})
        self.assertEqual([sense["sources"] for sense in row["senses"]], [["esa"], ["faq"], ["maxbulk"]])
        self.assertIn("RCPT", row["commands"])
        self.assertIn("too-many-recipients", row["classifications"])
        for row in codes:
            for key in ("severity", "category", "bounce", "senses", "sender_should", "admin_should"):
                self.assertTrue(row[key], (row["code"], key))
            self.assertIn("defined_by", row)

    def test_explain_every_row_of_the_list_by_command(self):
        for command, codes in BY_COMMAND.items():
            for code in codes.split():
                said = json.loads(run("explain", code, "--at", command, "--json").stdout)
                self.assertEqual(said["listed_at"], {"command": command, "listed": True})
                self.assertIn(command, said["commands"])

    def test_explain_knows_what_rfc_5321_lists(self):
        # Section 4.3.2, of which the lists leave a good deal out.
        for command, codes in {
            "MAIL": "451 452 455 503 550 552 553 555", "RCPT": "450 451 452 455 503 550 551 552 553 555",
            "DATA": "450 451 452 503 550 552 554", "message": "450 451 452 550 552 554", "EHLO": "502 504 550",
            "connect": "554", "VRFY": "502 504 550 551 553", "EXPN": "500 502 504 550", "RSET": "421 500 501",
        }.items():
            for code in codes.split():
                said = json.loads(run("explain", code, "--at", command, "--json").stdout)
                self.assertEqual(said["listed_at"], {"command": command, "listed": True}, code)
        for command in ("DATA", "message", "MAIL"):
            self.assertIn("listed by RFC 5321", run("explain", "550", "--at", command).stdout)
        self.assertIn("customary", run("explain", "450", "--at", "MAIL").stdout)

    def test_explain(self):
        self.assertIn("too many recipients", run("explain", "453").stdout)
        self.assertIn("not listed", run("explain", "354", "--at", "RCPT").stdout)
        self.assertEqual(json.loads(run("explain", "4.5.3", "--json").stdout)["detail"], "too many recipients")
        self.assertEqual(json.loads(run("explain", "too-many-recipients", "--json").stdout)["code"], 453)
        self.assertIn("contradict", run("explain", "RG1203").stdout)
        (said,) = json.loads(run("explain", "552 5.2.2 <bob@x> mailbox full", "--json").stdout)
        self.assertEqual((said["code"], said["enhanced"], said["bounce"]), (552, "5.2.2", "hard"))
        self.assertEqual(said["enhanced_explained"]["detail"], "mailbox full")
        self.assertEqual((said["reason"], said["dead"], said["fault"]), ("mailbox_full", False, "recipient"))

    BOUNCE = ("From: MAILER-DAEMON@mx.example\nTo: ann@here.example\nSubject: failure notice\n\n"
              "<bob@there.example>: host mx.there.example[192.0.2.4] said: 550\n    5.1.1 nobody (in reply to RCPT TO command)\n")

    def test_explain_standard_input_and_files(self):
        (said,) = json.loads(run("explain", "-", "--json", input=self.BOUNCE).stdout)
        self.assertEqual((said["recipient"], said["code"], said["enhanced"]), ("bob@there.example", 550, "5.1.1"))
        with tempfile.NamedTemporaryFile("w", suffix=".eml") as file:
            file.write(self.BOUNCE)
            file.flush()
            done = run("explain", file.name)
            self.assertEqual(done.returncode, 0)
            self.assertIn("user_unknown", done.stdout)
        no_bounce = run("explain", "-", input="From: a@b.example\nTo: c@d.example\nSubject: hello\n\n550 guests\n")
        self.assertEqual(no_bounce.returncode, 1)
        self.assertIn("no bounce", no_bounce.stderr)

    def test_explain_lines(self):
        lines = "550 5.1.1 nobody here, user unknown\n\nxyzzy\n250 2.0.0 ok\n"
        done = run("explain", "--jsonl", "-", input=lines)
        said = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual([answer.get("reason") for answer in said], ["user_unknown", None, "delivered"])
        self.assertEqual(said[1], {"bounce": False})
        self.assertEqual(done.returncode, 0)
        self.assertEqual(run("explain", "--jsonl", "-", input="xyzzy\n").returncode, 1)

    def test_a_line_says_what_the_array_says(self):
        added = {"contradiction", "code_explained", "enhanced_explained"}
        for text in ("550 5.1.1 nobody here, user unknown", "452 4.2.2 full \\ \"box\"", "550 Gr\u00fc\u00dfe \u5b58\u5728", "timed out",
                     "421 4.7.0 try again in 5 minutes", "250 ok", "550 " + "a" * 3000,
                     "Nov 29 10:00:00 mx postfix/smtpd[9]: NOQUEUE: reject: RCPT from a.example[192.0.2.1]: 554 5.7.1 <b@c.example>: "
                     "Relay access denied; from=<d@e.example> to=<b@c.example> proto=ESMTP helo=<a>"):
            (tree,) = json.loads(run("explain", "--json", "-", input=text + "\n").stdout)
            line = json.loads(run("explain", "--jsonl", "-", input=text + "\n").stdout)
            self.assertEqual(line, {key: value for key, value in tree.items() if key not in added}, text)

    def test_prose_with_numbers_is_no_reply(self):
        for text in ("550 rooms are free", "450 users were waiting for it", "Hotel: 550 rooms, none free",
                     "550 Fifth Avenue is not found on the map", "Nov 25: 550 mails were blocked today"):
            said = json.loads(run("explain", "--jsonl", "-", input=text + "\n").stdout)
            self.assertIsNone(said.get("code"), text)

    def test_explain_with_own_knowledge(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "own.toml"
            path.write_text('[[phrase]]\nreason = "greylist"\nphrase = "xyzzy"\nsource = "https://example.org/"\n')
            (said,) = json.loads(run("explain", "--json", "--statuses", folder, "550 xyzzy").stdout)
            self.assertEqual(said["reason"], "greylist")
            path.write_text('[[phrase]]\nreason = "grey"\n')
            wrong = run("explain", "--statuses", folder, "550 xyzzy")
            self.assertEqual(wrong.returncode, 78)
            self.assertIn('own.toml:1: there is no reason "grey"', wrong.stderr)

    def test_a_folder_of_knowledge_that_is_named_must_be_there(self):
        for words in (["explain", "550 xyzzy"], ["report", "--postfix", __file__]):
            done = run(*words, "--statuses", "/nonexistent/statuses")
            self.assertEqual((done.returncode, done.stdout), (66, ""))
            self.assertIn("/nonexistent/statuses: No such file or directory", done.stderr)

    def test_a_pasted_reply_that_contradicts_itself(self):
        self.assertIn("contradict", run("explain", "550 4.2.2 x").stdout)


if __name__ == "__main__":
    unittest.main()
