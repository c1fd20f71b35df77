"""Commands that ask the running daemon: their exit status, and what they make of their input. No daemon runs here."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

BINARY = sys.argv.pop(1)


def run(*arguments, input=None):
    return subprocess.run([BINARY, *arguments], capture_output=True, text=True, input=input)


@contextlib.contextmanager
def open_folder(path):
    folder = os.open(path, os.O_RDONLY)
    try:
        yield folder
    finally:
        os.close(folder)


@contextlib.contextmanager
def daemon_that_says(result):
    """The control socket of one that gives this result to whatever it is asked."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        path = os.path.join(folder, "control.sock")
        listener.bind(path)
        listener.listen()

        def serve():
            with contextlib.suppress(OSError):  # the listener is closed
                while True:
                    peer, _ = listener.accept()
                    with peer, peer.makefile("rw") as stream:
                        stream.readline()
                        stream.write(json.dumps({"v": 1, "ok": True, "status": 0, "result": result}) + "\n")

        threading.Thread(target=serve, daemon=True).start()
        yield path
        listener.shutdown(socket.SHUT_RDWR)


class Answers(unittest.TestCase):
    def test_json_has_the_exit_status_of_the_text(self):
        for words, good, bad in ((["why", "nosuch"], {"records": [{}]}, {"records": []}),
                                 (["status"], {"trouble": ""}, {"trouble": "the store is away"}),
                                 (["outcome", "dead", "a@b.example"], {"addresses": [{}]}, {"addresses": []}),
                                 (["outcome", "clear", "a@b.example"], {"cleared": True}, {"cleared": False})):
            for result, status in ((good, 0), (bad, 1)):
                with daemon_that_says(result) as path:
                    text, tree = (run(*words, "--socket", path, *form) for form in ([], ["--json"]))
                self.assertEqual((text.returncode, tree.returncode), (status, status), (words, text.stderr))
                self.assertEqual(json.loads(tree.stdout), result)

    def test_outcome_takes_a_message(self):
        """Of what is none it says so in the form that was asked for. No MTA hands over what cannot be read."""
        letter = "From: a@b.example\nTo: c@d.example\nSubject: hello\n\nhi\n"
        self.assertIn("no report", run("outcome", input=letter).stdout)
        told = run("outcome", "--json", input=letter)
        self.assertEqual((told.returncode, json.loads(told.stdout)), (0, {"recipients": []}))
        self.assertEqual(run("outcome", input="").returncode, 66)
        closed = subprocess.run(["sh", "-c", 'exec "$0" outcome <&-', BINARY], capture_output=True, text=True)
        self.assertEqual((closed.returncode, closed.stdout), (66, ""))
        for words in (["outcome"], ["explain", "-"], ["explain", "--jsonl", "-"]):
            with open_folder("/") as folder:
                done = subprocess.run([BINARY, *words], stdin=folder, capture_output=True, text=True)
            self.assertEqual((done.returncode, "standard input" in done.stderr), (66, True), (words, done.stderr))

    def test_a_long_report_is_one_answer(self):
        """The daemon is asked of ten recipients at a time."""
        fields = "".join(f"Final-Recipient: rfc822; r{i}@b.example\nAction: failed\nStatus: 5.1.1\n"
                         "Diagnostic-Code: smtp; 550 5.1.1 no such user\n\n" for i in range(25))
        report = ("From: MAILER-DAEMON@b.example\nTo: c@d.example\nMIME-Version: 1.0\n"
                  "Content-Type: multipart/report; report-type=delivery-status; boundary=x\n\n"
                  "--x\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; b.example\n\n" + fields + "--x--\n")
        row = {"recipient": "r@b.example", "result": "unknown", "outcome": "hard_bounce", "reason": "user_unknown"}
        with daemon_that_says({"recipients": [row]}) as path:
            told = run("outcome", "--json", "--socket", path, input=report)
        self.assertEqual((told.returncode, json.loads(told.stdout)), (0, {"recipients": [row] * 3}), told.stderr)


if __name__ == "__main__":
    unittest.main()
