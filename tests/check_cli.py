"""The offline commands as users call them: output, exit status, JSON."""

import json
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


def run(*arguments):
    return subprocess.run([BINARY, *arguments], capture_output=True, text=True)


class Cli(unittest.TestCase):
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

    def test_explain(self):
        self.assertIn("too many recipients", run("explain", "453").stdout)
        self.assertIn("not listed", run("explain", "354", "--at", "RCPT").stdout)
        self.assertEqual(json.loads(run("explain", "4.5.3", "--json").stdout)["detail"], "too many recipients")
        self.assertEqual(json.loads(run("explain", "too-many-recipients", "--json").stdout)["code"], 453)
        self.assertIn("contradict", run("explain", "RG1203").stdout)
        said = json.loads(run("explain", "552 5.2.2 <bob@x> mailbox full", "--json").stdout)
        self.assertEqual((said["code"], said["enhanced"], said["bounce"]), (552, "5.2.2", "hard"))
        self.assertEqual(said["enhanced_explained"]["detail"], "mailbox full")

    def test_a_pasted_reply_that_contradicts_itself(self):
        self.assertIn("contradict", run("explain", "550 4.2.2 x").stdout)

    def test_exit_status(self):
        self.assertEqual(run().returncode, 64)
        self.assertEqual(run("no-such-command").returncode, 64)
        self.assertEqual(run("explain", "453", "--at", "nowhere").returncode, 64)
        self.assertEqual(run("explain", "999").returncode, 1)
        self.assertEqual(run("explain", "nonsense").returncode, 1)
        self.assertEqual(run("check", "/no/such/file").returncode, 66)
        self.assertEqual(run("run", "-c", "/no/such/file").returncode, 66)
        self.assertEqual(run("--help").returncode, 0)
        self.assertIn("replygate ", run("--version").stdout)

    def test_check(self):
        with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
            def check(text, *options):
                file.seek(0)
                file.truncate()
                file.write(text)
                file.flush()
                return run("check", file.name, *options)

            good = check("version = 1\n")
            self.assertEqual((good.returncode, good.stderr), (0, ""))
            self.assertIn("OK, 0 rules", good.stdout)
            bad = check("version = 1\n[mlter]\n")
            self.assertEqual((bad.returncode, bad.stdout), (78, ""))
            self.assertIn("error[RG1002]", bad.stderr)
            said = json.loads(check("version = 1\n[mlter]\n", "--json").stdout)
            self.assertEqual((said[0]["code"], said[0]["line"], said[0]["column"]), ("RG1002", 2, 2))
            warned = 'version = 1\n[[rule]]\nname = "r"\nwhen = { helo = "x" }\nreply = 599\n'
            self.assertEqual(check(warned).returncode, 0)
            self.assertEqual(check(warned, "--strict").returncode, 78)
            self.assertIn("1. r", check(warned, "--show").stdout)

    def test_every_command_has_examples(self):
        for command in ("run", "check", "codes", "explain"):
            self.assertIn("Example", run(command, "--help").stdout)


if __name__ == "__main__":
    unittest.main()
