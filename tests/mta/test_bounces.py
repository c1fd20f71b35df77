"""Real bounces of Postfix, Sendmail and Exim, for each of many refusals at RCPT and after DATA: `replygate explain` must
find the very reply that the server gave. Run by itself: python3 tests/mta/test_bounces.py [-v]; with REPLYGATE_BOUNCES=DIR
it leaves the messages there.
"""

import json
import os
import pathlib
import re
import subprocess
import unittest

import alone
import exim
import postfix
import sendmail
from daemon import BINARY, wait_until
from delivering import delivering
from refusing import ANSWERS, SENDER, RefusingServer
from smtp import Client

PORT = 2690
CASES = [f"case{number}-{stage}@there.test" for number in range(len(ANSWERS)) for stage in ("rcpt", "data")]
TEXT = "From: {0}\r\nTo: x@there.test\r\nSubject: 550 5.1.1 is no reply\r\n\r\n554 5.7.1 nor is this\r\n".format(SENDER)


def expected(recipient):
    """Code and enhanced code of the reply that the recipient is refused with."""
    answer = ANSWERS[int(re.match(r"case(\d+)", recipient)[1])]
    enhanced = re.match(r"\d{3}[ -](?:cuda_nsu )?#?([245]\.\d+\.\d+)", answer)
    return int(answer[:3]), enhanced and enhanced[1]


def recipient_in(message):
    return re.search(r"case\d+-(?:rcpt|data)@there\.test", message.decode("utf-8", "replace"))[0]


class Bounces(unittest.TestCase):
    def look_at(self, name, bounces):
        self.assertEqual(sorted({recipient_in(bounce) for bounce in bounces}), sorted(CASES), name)
        wrong = []
        for bounce in bounces:
            recipient = recipient_in(bounce)
            self.keep(name, recipient, bounce)
            run = subprocess.run([BINARY, "explain", "-", "--json"], input=bounce, capture_output=True)
            answers = json.loads(run.stdout or "[]")
            said = [(answer["recipient"], answer["code"]) for answer in answers]
            code, enhanced = expected(recipient)
            right = said == [(recipient, code)] and (enhanced is None or answers[0]["enhanced"] == enhanced)
            if not right:
                wrong.append((recipient, said, answers and answers[0]["enhanced"], ANSWERS[int(re.search(r"\d+", recipient)[0])]))
        print(f"{name}: {len(bounces) - len(wrong)} of {len(bounces)} bounces read right")
        self.assertEqual(wrong, [], name)

    def keep(self, name, recipient, bounce):
        if folder := os.environ.get("REPLYGATE_BOUNCES"):
            pathlib.Path(folder, f"{name}-{recipient}.eml").write_bytes(bounce)

    def submit(self, port):
        with Client(port, source="127.0.0.1") as client:
            client("EHLO h.test")
            for recipient in CASES:
                client(f"MAIL FROM:<{SENDER}>")
                client(f"RCPT TO:<{recipient}>")
                client("DATA")
                self.assertEqual(client(TEXT + ".")[:3], "250")

    def test_postfix(self):
        settings = f"relayhost = [127.0.0.1]:{PORT}\nsmtp_host_lookup = native\nbounce_notice_recipient = x@back.test\n"
        with delivering(), RefusingServer(PORT) as server, postfix.Postfix(settings=settings) as mta:
            self.submit(mta.port)
            wait_until(lambda: len(server.bounces) >= len(CASES), "Postfix to bounce", 120)
            self.look_at("postfix", server.bounces)

    def test_sendmail(self):
        extra = f"define(`SMART_HOST', `esmtp:[127.0.0.1]')dnl\ndefine(`ESMTP_MAILER_ARGS', `TCP $h {PORT}')dnl"
        with RefusingServer(PORT) as server, sendmail.Sendmail(extra=extra) as mta:
            self.submit(mta.port)
            for _ in range(2):  # the messages, then the bounces
                mta.run("-q", "-OQueueSortOrder=none")
            wait_until(lambda: len(server.bounces) >= len(CASES), "Sendmail to bounce", 120)
            self.look_at("sendmail", server.bounces)

    def test_exim(self):
        with RefusingServer(PORT) as server, exim.Exim(PORT) as mta:
            for recipient in CASES:
                mta.send(SENDER, [recipient], TEXT.replace("\r\n", "\n"))
            wait_until(lambda: len(server.bounces) >= len(CASES), "Exim to bounce", 120)
            self.look_at("exim", server.bounces)


if __name__ == "__main__":
    sendmail.fetch()
    exim.fetch()
    alone.alone()
    unittest.main()
