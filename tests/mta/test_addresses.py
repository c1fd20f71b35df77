"""The spellings that have opened relays, through both MTAs, with the milter alone deciding about relaying.

own: the MTA delivers it here or relays it, and the policy must not refuse it. foreign: nobody may take it.
"""

import unittest

import mta_test
from daemon import Daemon
from postfix import Postfix
from sendmail import Sendmail
from smtp import Client

POLICY = """
[site]
local_domains = ["ours.example", "localhost", "mx.ours.example"]
relay_domains = ["relayed.example"]
[[rule]]
name = "no-open-relay"
unless = { recipient_domain = ["$local_domains", "$relay_domains"] }
reply = "relay-denied"
[[rule]]
name = "sender"
when = { sender = "known@mx.ours.example", recipient = "user@ours.example" }
reply = { code = 554, text = "known" }
"""

OWN = (
    "user@ours.example", "USER@OURS.Example", "user@ours.example.", "user@relayed.example",
    "user%relayed.example@ours.example", "@other.example:user@ours.example", "user", "postmaster",
    "user+tag@ours.example", "user @ours.example", "user@ours .example", "user\t@ours.example", "user@localhost",
    "user@mx.ours.example", "user(comment)@ours.example", "user@(comment)ours.example", '"user"@ours.example',
)

FOREIGN = (
    "user@sub.ours.example", "user@other.example", "user%other.example@ours.example", "user%other.example",
    "user%other.example%third.example@ours.example", '"user%other.example"@ours.example', "other.example!user",
    "other.example!user@ours.example", "ours.example!other.example!user", '"other.example!user"@ours.example',
    "@ours.example:user@other.example", "@ours.example,@a.example:user@other.example",
    "@ours.example:user%third.example@ours.example", "@other.example:user%third.example@ours.example",
    '"user@other.example"@ours.example', "user@other.example@ours.example", "user@ours.example@other.example",
    '"user@other.example"', '"user"@other.example', '"user\\@other.example"@ours.example', "user@[127.0.0.1]",
    "user@[10.1.2.3]", "user@127.0.0.1", "user@[IPv6:::1]", "user@[IPv6:::ffff:127.0.0.1]", "user@[::ffff:127.0.0.1]",
    "user@#2130706433", "user%other.example@[127.0.0.1]", "user@[ours.example]", "Postmaster@", "user@", "",
    "user;other@ours.example", "user@ours.example:25", "user@öurs.example", "user@xn--urs-rna.example",
    "user@ours\u3002example", "user@\uff4furs.example", "user@ours\u200b.example", "user@ours\u00ad.example",
    "user@ours..example", "user@.ours.example", "user@-ours.example", "user@ours_.example",
    "user@" + "a" * 63 + ".example", "user@" + "a" * 64 + ".example", "user%other.example@localhost",
    "user%other.example@mx.ours.example", "user@other.example.ours.example", "user@ours.example.other.example",
    "user@oursXexample", "Name <user@other.example>", "user@other.example, user@ours.example",
)


class Addresses(unittest.TestCase):
    def check(self, name, mta):
        for address, own in [(a, True) for a in OWN] + [(a, False) for a in FOREIGN]:
            with self.subTest(mta=name, address=address), Client(mta.port) as client:
                client("EHLO client.test")
                eight_bit = " SMTPUTF8" if name == "postfix" and not address.isascii() else ""
                client(f"MAIL FROM:<s@sender.test>{eight_bit}")
                reply = client(f"RCPT TO:<{address}>")
                if own:
                    self.assertNotIn("Relaying denied", reply)
                    if name == "postfix":
                        self.assertEqual(reply[:3], "250")
                else:
                    self.assertEqual(reply[:1], "5", reply)

    def check_sender(self, name, mta):
        """One of ours, at a domain that is not the first."""
        with self.subTest(mta=name), Client(mta.port) as client:
            client("EHLO client.test")
            client("MAIL FROM:<Known@mx.ours.example>")
            self.assertIn("known", client("RCPT TO:<user@ours.example>"))

    def test_postfix(self):
        settings = (
            "mydestination = ours.example, localhost, mx.ours.example\nrelay_domains = relayed.example\n"
            "myorigin = ours.example\nlocal_recipient_maps =\n"
            "smtpd_relay_restrictions = permit_mynetworks, check_recipient_access static:OK, reject_unauth_destination\n"
        )
        with Daemon(POLICY) as daemon, Postfix(f"inet:127.0.0.1:{daemon.port}", settings=settings) as mta:
            self.check("postfix", mta)
            self.check_sender("postfix", mta)

    def test_sendmail(self):
        extra = (
            "FEATURE(`promiscuous_relay')dnl\nLOCAL_DOMAIN(`ours.example')dnl\nLOCAL_DOMAIN(`mx.ours.example')dnl\n"
            "RELAY_DOMAIN(`relayed.example')dnl"
        )
        with Daemon(POLICY) as daemon, Sendmail(f"inet:{daemon.port}@127.0.0.1", extra=extra) as mta:
            self.check("sendmail", mta)
            self.check_sender("sendmail", mta)


if __name__ == "__main__":
    mta_test.main()
