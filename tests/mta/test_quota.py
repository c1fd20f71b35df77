"""Quotas through a real Postfix: exact under concurrency, returned by what is not sent, counted for local mail."""

import concurrent.futures
import threading
import unittest

import mta_test
from daemon import Daemon, wait_until
from postfix import Postfix
from smtp import Client

SESSIONS = 100
LIMIT = 40
ROUNDS = 20

POLICY = f"""
[[rule]]
name = "sender-quota"
per = "sender"
limit = "{LIMIT} recipients / 1h"
reply = "quota-exceeded"
"""


def in_parallel(task):
    with concurrent.futures.ThreadPoolExecutor(SESSIONS) as pool:
        return list(pool.map(task, range(SESSIONS)))


class Quota(unittest.TestCase):
    def test_exactly_the_limit_is_admitted_twenty_times_out_of_twenty(self):
        with Daemon(POLICY) as daemon, Postfix(f"inet:127.0.0.1:{daemon.port}") as mta:
            for number in range(ROUNDS):
                barrier = threading.Barrier(SESSIONS)

                def send(_):
                    with Client(mta.port) as client:
                        client("EHLO client.test")
                        client(f"MAIL FROM:<round{number}@sender.test>")
                        barrier.wait()
                        reply = client("RCPT TO:<user@local.test>")
                        if not reply.startswith("250"):
                            return reply[:9]
                        client("DATA")
                        return client("Subject: x\r\n\r\nx\r\n.")[:3]

                outcomes = in_parallel(send)
                self.assertEqual(outcomes.count("250"), LIMIT, number)
                self.assertEqual(outcomes.count("452 4.7.1"), SESSIONS - LIMIT, number)

    def test_what_is_not_sent_is_returned(self):
        with Daemon(POLICY) as daemon, Postfix(f"inet:127.0.0.1:{daemon.port}") as mta:
            known = len(daemon.records())

            def give_up(number):
                client = Client(mta.port)
                client("EHLO client.test")
                client("MAIL FROM:<s@sender.test>")
                reply = client("RCPT TO:<user@local.test>")
                if number % 4 == 0:
                    client("RSET")
                elif number % 4 == 1:
                    client("EHLO again.test")
                elif number % 4 == 2:
                    client("QUIT")
                client.close()
                return reply[:3]

            in_parallel(give_up)
            daemon.records(known + SESSIONS)

            def send(_):
                with Client(mta.port) as client:
                    return client.message("s@sender.test", ["user@local.test"]).get("end", "")[:3]

            self.assertEqual(in_parallel(send).count("250"), LIMIT)

    def test_excess_recipients_alone_are_refused(self):
        with Daemon(POLICY) as daemon, Postfix(f"inet:127.0.0.1:{daemon.port}") as mta, Client(mta.port) as client:
            said = client.message("s@sender.test", [f"u{i}@local.test" for i in range(LIMIT + 10)])
            self.assertEqual([reply[:3] for reply in said["rcpt"]], ["250"] * LIMIT + ["452"] * 10)
            self.assertEqual(said["end"][:3], "250")
            limits = daemon.records(1)[0]["recipients"][LIMIT]["limits"][0]
            self.assertEqual((limits["used"], limits["limit"], limits["window"]), (LIMIT, LIMIT, "1h"))

    def test_local_submission_is_counted_and_never_refused(self):
        with Daemon(POLICY) as daemon, Postfix(f"inet:127.0.0.1:{daemon.port}") as mta:
            mta.set(non_smtpd_milters=f"inet:127.0.0.1:{daemon.port}")
            mta.sendmail("www@local.test", [f"u{i}@local.test" for i in range(LIMIT + 10)])
            record = daemon.records(1)[0]
            self.assertTrue(record["local_submission"])
            self.assertEqual(record["outcome"], "accepted")
            self.assertEqual(record["recipients"][-1]["mode"], "counting-only")
            wait_until(lambda: "status=sent" in mta.log(), "the message to be delivered")
            with Client(mta.port) as client:
                said = client.message("www@local.test", ["user@local.test"])
                self.assertEqual(said["rcpt"][0][:9], "452 4.7.1")
            self.assertEqual(daemon.records(2)[1]["recipients"][0]["limits"][0]["used"], LIMIT + 10)

    def test_bytes_are_counted_as_received(self):
        policy = '[[rule]]\nname = "bytes"\nper = "sender"\nlimit = "10 kB / 1h"\nreply = "quota-exceeded"\n'
        for name, start in mta_test.both(8893):
            with self.subTest(mta=name), Daemon(policy) as daemon, start() as mta, Client(mta.port) as client:
                client("EHLO client.test")
                text = "Subject: x\r\nX-Folded: a\r\n b\r\n\r\n" + "x" * 70 + "\r\n"
                self.assertEqual(client.message("s@sender.test", ["u@local.test"], text)["end"][:9], "250 2.0.0")
                self.assertEqual(daemon.records(1)[0]["size"], len(text + "\r\n"))
                big = "Subject: x\r\n\r\n" + ("y" * 70 + "\r\n") * 138
                self.assertEqual(client.message("s@sender.test", ["u@local.test"], big)["end"][:9], "452 4.7.1")
                too_big = "Subject: x\r\n\r\n" + ("y" * 70 + "\r\n") * 200
                self.assertEqual(client.message("s@sender.test", ["u@local.test"], too_big)["end"][:9], "552 5.3.4")


if __name__ == "__main__":
    mta_test.main()
