"""Ending and failing: a clean stop lets open transactions finish, and a lost daemon lets nothing through."""

import os
import signal
import socket
import subprocess
import threading
import unittest
import unittest.mock

import mta_test
from daemon import BINARY, Daemon, wait_until
from smtp import Client, Closed

POLICY = '[[rule]]\nname = "r"\nwhen = { sender = "bad@sender.test" }\nreply = 554\n'


class Stop(unittest.TestCase):
    def test_a_stop_lets_an_open_transaction_finish(self):
        for name, start in mta_test.both(8893):
            with self.subTest(mta=name), Daemon(POLICY) as daemon, start() as mta, Client(mta.port) as client:
                client("EHLO client.test")
                client("MAIL FROM:<s@sender.test>")
                self.assertEqual(client("RCPT TO:<u@local.test>")[:3], "250")
                with Client(mta.port) as second:
                    second("EHLO client.test")
                    daemon.signal(signal.SIGTERM)
                    wait_until(lambda: "stopping" in (daemon.folder / "errors").read_text(), "the stop to begin")
                    self.assertEqual(client("DATA")[:3], "354")
                    self.assertEqual(client("Subject: x\r\n\r\nx\r\n.")[:3], "250")
                    self.assertEqual(daemon.stop(), 0)
                    try:
                        self.assertEqual(second("MAIL FROM:<s@sender.test>")[0], "4")
                    except Closed:
                        pass
                self.assertEqual(daemon.records()[-1]["outcome"], "accepted")

    def test_a_stop_is_bounded_whatever_clients_do(self):
        with Daemon(POLICY, drain_timeout="2s") as daemon:
            _, start = mta_test.both(daemon.port)[0]
            with start() as mta, Client(mta.port) as client:
                client("EHLO client.test")
                client("MAIL FROM:<s@sender.test>")
                client("RCPT TO:<u@local.test>")
                self.assertEqual(daemon.stop(), 0)  # which gives up waiting after 30 s

    def test_an_idle_daemon_stops_at_once_by_each_signal(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with Daemon(POLICY) as daemon:
                daemon.signal(number)
                self.assertEqual(daemon.process.wait(timeout=10), 0)

    def test_a_hang_up_changes_nothing(self):
        with Daemon(POLICY) as daemon:
            for _ in range(20):
                daemon.signal(signal.SIGHUP)
            wait_until(lambda: "SIGHUP" in (daemon.folder / "errors").read_text(), "the hang-up to be noticed")
            self.assertIsNone(daemon.process.poll())

    def test_a_second_daemon_does_not_take_the_socket(self):
        with Daemon(POLICY) as daemon:
            second = daemon.folder / "second.toml"
            text = daemon.policy_file.read_text()
            for change, said in (("", "another replygate keeps its counters there"), ("2", "in use by another process")):
                second.write_text(text.replace("state.db", "state.db" + change))
                run = subprocess.run([BINARY, "run", "--as-root", "-c", second], capture_output=True, text=True)
                self.assertEqual(run.returncode, 69)
                self.assertIn(said, run.stderr)

    def test_a_broken_policy_starts_nothing(self):
        with self.assertRaisesRegex(RuntimeError, "RG1002"):
            Daemon("[mlter]\n", port=8895)

    def test_a_broken_policy_leaves_the_last_good_one(self):
        wrong = ("[mlter]\n", '[[test]]\nname = "t"\nrcpt = "a@b.example"\nexpect = { refused = 1 }\n')
        with Daemon(POLICY) as daemon, unittest.mock.patch.dict(os.environ, STATE_DIRECTORY=str(daemon.folder)):
            text = daemon.policy_file.read_text()
            errors = daemon.folder / "errors"

            def serves():
                """Starts it anew; gives what it says until it serves."""
                daemon.stop()
                before = len(errors.read_text())
                daemon.start()
                wait_until(lambda: "milter at" in errors.read_text()[before:], "replygate to serve")
                return errors.read_text()[before:]

            policy = serves().split("replygate: policy ")[1].split()[0]
            for broken in wrong:
                daemon.policy_file.write_text(text + broken)
                said = serves()
                self.assertIn(f"the last good one serves, with its lists as they were, policy {policy}", said)
                self.assertIn(f"replygate: policy {policy} with", said)
            (daemon.folder / "last-good-policy.json").write_text("{}")
            with self.assertRaisesRegex(RuntimeError, "nothing is started"):
                serves()

    def test_killed_nothing_passes_unfiltered_and_a_new_one_takes_over(self):
        for name, start in mta_test.both(8893):
            with self.subTest(mta=name), Daemon(POLICY) as daemon, start() as mta:
                with Client(mta.port) as client:
                    client("EHLO client.test")
                    client("MAIL FROM:<s@sender.test>")
                    client("RCPT TO:<u@local.test>")
                    daemon.kill()
                    self.assertEqual(client("RCPT TO:<v@local.test>")[0], "4")
                with Client(mta.port) as client:
                    client("EHLO client.test")
                    self.assertEqual(client("MAIL FROM:<s@sender.test>")[0], "4")
                daemon.start()
                with Client(mta.port) as client:
                    client("EHLO client.test")
                    self.assertEqual(client("MAIL FROM:<bad@sender.test>")[:3], "554")
                    self.assertEqual(client.message("s@sender.test", ["u@local.test"])["end"][:3], "250")

    def test_strangers_at_the_socket_do_no_harm(self):
        with Daemon(POLICY) as daemon:
            def knock(octets):
                with socket.create_connection(("127.0.0.1", daemon.port), timeout=10) as stranger:
                    stranger.sendall(octets)

            knocks = [b"", b"GET / HTTP/1.0\r\n\r\n", b"\0\0\0\1Q", b"\0\0\0\5O\0\0\0\6"]
            threads = [threading.Thread(target=knock, args=(octets,)) for octets in knocks * 25]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            _, start = mta_test.both(daemon.port)[0]
            with start() as mta, Client(mta.port) as client:
                client("EHLO client.test")
                self.assertEqual(client("MAIL FROM:<bad@sender.test>")[:3], "554")


if __name__ == "__main__":
    mta_test.main()
