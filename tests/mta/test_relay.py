"""Relay denial gets the policy's own code through the second door, and the host never becomes an open relay."""

import base64
import concurrent.futures
import itertools
import signal
import unittest

import mta_test
from daemon import Daemon, wait_until
from postfix import Postfix
from sendmail import Sendmail
from smtp import Client, Closed

POLICY = """
[site]
local_domains = ["local.test"]
relay_domains = ["relay.test"]
trusted_networks = ["127.0.0.1"]
[[rule]]
name = "no-open-relay"
unless = { recipient_domain = ["$local_domains", "$relay_domains"], client_ip = "$trusted_networks", authenticated = true }
reply = { class = "relay-denied", code = %d, text = "Relaying denied for {recipient}; authenticate first" }
"""

RELAY = (
    "smtpd_relay_restrictions = permit_mynetworks, permit_sasl_authenticated,\n"
    "    check_policy_service {{ inet:127.0.0.1:{port}, timeout=1s, default_action=DUNNO }},\n"
    "    reject_unauth_destination\n"
    "milter_default_action = {action}\nmilter_command_timeout = 1s\nmilter_connect_timeout = 1s\n"
)


class Relay(unittest.TestCase):
    def test_the_client_gets_the_policys_code(self):
        for code, enhanced in ((550, "5.7.1"), (551, "5.7.1"), (571, "5.7.1")):
            with Daemon(POLICY % code, service_port=8894) as daemon, Postfix(
                "inet:127.0.0.1:8893", settings=RELAY.format(port=8894, action="tempfail")
            ) as mta:
                with Client(mta.port) as client:
                    client("EHLO client.test")
                    said = client.message("s@sender.test", ["u@local.test", "u@relay.test", "u@foreign.test"])
                    self.assertEqual([reply[:3] for reply in said["rcpt"]], ["250", "250", str(code)])
                    self.assertIn(
                        f"{code} {enhanced} <u@foreign.test>: Recipient address rejected: "
                        "Relaying denied for u@foreign.test; authenticate first",
                        said["rcpt"][2],
                    )
                    # Spellings that hide the destination
                    client("MAIL FROM:<s@sender.test>")
                    for address in ("u%foreign.test@local.test", '"u@foreign.test"@local.test', "foreign.test!u"):
                        self.assertEqual(client(f"RCPT TO:<{address}>")[0], "5", address)
                with Client(mta.port, "127.0.0.1") as client:
                    client("EHLO client.test")
                    self.assertEqual(client.message("s@sender.test", ["u@foreign.test"])["rcpt"][0][:3], "250")
                def refusals():
                    return [r for r in daemon.records() if r["door"] == "policy_service"]

                wait_until(refusals, "the record of the second door")
                self.assertEqual(refusals()[0]["recipients"][0]["rule"], "no-open-relay")
                self.assertEqual(refusals()[0]["recipients"][0]["reply"]["code"], code)

    def test_an_authenticated_user_may_relay(self):
        with Daemon(POLICY % 571, service_port=8894) as daemon, Postfix(
            "inet:127.0.0.1:8893", settings=RELAY.format(port=8894, action="tempfail"), users={"carol": "secret"}) as mta, Client(mta.port) as client:
            client("EHLO client.test")
            login = base64.b64encode(b"\0carol\0secret").decode()
            self.assertEqual(client(f"AUTH PLAIN {login}")[:3], "235")
            said = client.message("carol@local.test", ["u@foreign.test"])
            self.assertEqual(said["end"][:3], "250")
            self.assertEqual(daemon.records(1)[0]["user"], "carol@local.test")

    def test_a_forwarded_client_is_the_one_that_counts(self):
        with Daemon(POLICY % 571) as daemon, Postfix("inet:127.0.0.1:8893") as mta, Client(mta.port) as client:
            client("XCLIENT ADDR=203.0.113.9 NAME=client.test")
            client("EHLO client.test")
            client.message("s@sender.test", ["u@local.test"])
            record = daemon.records(1)[0]
            self.assertEqual((record["client_ip"], record["client_name"]), ("203.0.113.9", "client.test"))

    def test_with_the_daemon_gone_postfix_refuses_by_itself(self):
        with Postfix(settings=RELAY.format(port=8894, action="accept")) as mta, Client(mta.port) as client:
            client("EHLO client.test")
            said = client.message("s@sender.test", ["u@foreign.test"])
            self.assertEqual(said["rcpt"], ["554 5.7.1 <u@foreign.test>: Relay access denied"])

    def test_sendmail_words_relay_denial_by_itself(self):
        extra = 'define(`confRELAY_MSG\', `"571 Relaying denied; authenticate first"\')dnl'
        hosts = "127.0.0.1 localhost\n127.0.0.3 known.stranger.test\n"
        with Daemon(POLICY % 571) as daemon:
            with Sendmail(f"inet:{daemon.port}@127.0.0.1", extra=extra, hosts=hosts) as mta:
                with Client(mta.port, "127.0.0.3") as client:
                    client("EHLO client.test")
                    client("MAIL FROM:<s@sender.test>")
                    self.assertEqual(client("RCPT TO:<u@foreign.test>"), "571 5.7.1 Relaying denied; authenticate first")
                daemon.kill()
                with Client(mta.port, "127.0.0.3") as client:
                    client("EHLO client.test")
                    self.assertEqual(client("MAIL FROM:<s@sender.test>")[:3], "451")

    def test_letting_the_milter_decide_gives_the_text_verbatim(self):
        """The documented alternative, with its danger; Postfix must then fail closed."""
        settings = (
            "smtpd_relay_restrictions = permit_mynetworks, permit_sasl_authenticated,\n"
            "    check_recipient_access static:OK, reject_unauth_destination\n"
        )
        with Daemon(POLICY % 571) as daemon:
            with Postfix(f"inet:127.0.0.1:{daemon.port}", settings=settings) as mta, Client(mta.port) as client:
                client("EHLO client.test")
                client("MAIL FROM:<s@sender.test>")
                self.assertEqual(
                    client("RCPT TO:<u@foreign.test>"),
                    "571 5.7.1 Relaying denied for u@foreign.test; authenticate first",
                )
                self.assertEqual(client("RCPT TO:<u@local.test>")[:3], "250")


class Struck(unittest.TestCase):
    """Stopped, killed or hung at any moment, nothing is relayed."""

    @staticmethod
    def attempt(mta, daemon, stage, blow):
        """Tries to relay, striking the daemon before the command `stage`; gives the replies to RCPT and to the dot."""
        heard = []
        try:
            if stage == "banner":
                blow(daemon)
            with Client(mta.port) as client:
                steps = ("EHLO client.test", "MAIL FROM:<s@sender.test>", "RCPT TO:<u@local.test>",
                         "RCPT TO:<u@foreign.test>", "DATA")
                for step in steps:
                    if step.startswith(stage):
                        blow(daemon)
                        stage = "struck"
                    reply = client(step)
                    if "foreign" in step:
                        heard.append(reply)
        except Closed as closed:
            heard.append(f"closed {closed}")
        return heard

    def strike(self, number, action, stage, blow):
        """One attempt, at a Postfix and a daemon of its own; gives what was heard and what Postfix logged."""
        port = 3000 + 10 * number
        settings = RELAY.format(port=port + 1, action=action)
        with Postfix(f"inet:127.0.0.1:{port}", port=port + 2, settings=settings) as mta:
            # "stopped" waits for as long as a transaction may stay open.
            with Daemon(POLICY % 571, port=port, service_port=port + 1, drain_timeout="1s") as daemon:
                heard = self.attempt(mta, daemon, stage, blow)
            return heard, mta.log()

    def strike_at_each_moment(self, blow):
        stages = ("banner", "EHLO", "MAIL", "RCPT TO:<u@local", "RCPT TO:<u@foreign")
        cases = list(itertools.product(("tempfail", "accept"), stages))
        # Mostly they wait for time-outs of Postfix, which takes whole seconds alone.
        with concurrent.futures.ThreadPoolExecutor(len(stages)) as pool:
            struck = [pool.submit(self.strike, number, *case, blow) for number, case in enumerate(cases)]
        for (action, stage), outcome in zip(cases, struck):
            with self.subTest(action=action, stage=stage):
                heard, log = outcome.result()
                for reply in heard:
                    self.assertNotEqual(reply[:1], "2", heard)
                self.assertNotIn("to=<u@foreign.test>, relay", log)

    def test_killed(self):
        self.strike_at_each_moment(lambda daemon: daemon.kill())

    def test_frozen(self):
        self.strike_at_each_moment(lambda daemon: daemon.signal(signal.SIGSTOP))

    def test_stopped(self):
        self.strike_at_each_moment(lambda daemon: daemon.stop())


if __name__ == "__main__":
    mta_test.main()
