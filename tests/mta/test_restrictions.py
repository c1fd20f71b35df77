"""Random lists of restrictions at a real Postfix: where doctor has nothing against them no stranger relays, and what it
says mends them does. `test_restrictions.py COUNT SEED` plays more."""

import random
import sys
import unittest

import mta_test
from doctor_host import MILTER, POLICIES, Host, ServedDaemon, State

COUNT, SEED = 50, 7

# Clients of 192.0.2.0/24 are friends; the stranger comes from elsewhere.
WORDS = """permit_mynetworks; permit_sasl_authenticated; permit_auth_destination; permit_inet_interfaces;
permit_tls_clientcerts; reject_unauth_destination; defer_unauth_destination; Reject_Unauth_Destination;
warn_if_reject reject_unauth_destination; warn_if_reject check_recipient_access static:REJECT; defer_if_permit;
reject_non_fqdn_sender; sleep 0; open; shut; half; static:OK; inline:{u@foreign.test=OK}; inline:{x=OK};
check_client_access static:OK; check_client_access inline:{192.0.2.9=OK}; check_client_access inline:{unknown=OK};
check_client_access cidr:{{192.0.2.0/24 OK}}; check_client_access cidr:{{0.0.0.0/0 OK}}; check_sender_access static:OK;
check_sender_access inline:{sender.test=OK}; check_helo_access static:DUNNO; check_helo_access static:OK;
check_recipient_access static:OK; check_recipient_access static:{OK all}; check_recipient_access static:RELAY;
check_recipient_access static:DUNNO; check_recipient_access static:HOLD; check_recipient_access static:REJECT;
check_recipient_access static:1; check_recipient_access static:450; check_recipient_access static:{450 later};
check_recipient_access static:{permit_mynetworks, reject}; check_recipient_access static:{reject_unauth_destination};
check_recipient_access static:open; check_recipient_access inline:{foreign.test=OK};
check_recipient_access inline:{foreign.test=reject}; check_recipient_access inline:{foreign.test=open};
check_recipient_access inline:{u@=OK}; check_recipient_access inline:{test=OK};
check_recipient_access inline:{.test=OK}; check_recipient_access regexp:{{/foreign/ OK}}"""
CLASSES = {"smtpd_restriction_classes": "open, shut, half", "open": "reject_non_fqdn_sender, permit", "shut": "reject",
           "half": "permit_mynetworks, reject_unauth_destination"}
# Postfix starts only where some list refuses.
LAST_OF_RELAY = ("reject_unauth_destination", "defer_unauth_destination", "reject", "check_client_access static:OK")
LAST_OF_RECIPIENT = ("check_client_access static:OK, reject", "check_helo_access static:OK, reject_unauth_destination")


def made(dice):
    words = [" ".join(word.split()) for word in WORDS.split(";")]

    def some(most, last=""):
        return ", ".join([*(dice.choice(words) for _ in range(dice.randint(0, most))), *filter(None, [last])])

    main = {**CLASSES, "smtpd_relay_restrictions": some(4, dice.choice(LAST_OF_RELAY)),
            "smtpd_recipient_restrictions": some(1, dice.choice(LAST_OF_RECIPIENT))}
    for name in ("client", "helo", "sender"):
        if dice.random() < 0.2:
            main[f"smtpd_{name}_restrictions"] = some(2)
    return State("made", main=main)


class Restrictions(unittest.TestCase):
    def setUp(self):
        self.host = self.enterContext(Host(self.enterContext(ServedDaemon(POLICIES["plain"], port=MILTER))))

    def findings(self):
        return [f for f in self.host.findings() if "relay" in f["what"]]

    def relays(self, state):
        self.host.reload()
        return self.host.strangers(state)[1]

    def test_green_lists_let_no_stranger_relay(self):
        dice = random.Random(SEED)
        told = let_through = 0
        for number in range(COUNT):
            state = made(dice)
            with self.subTest(number=number, seed=SEED, main=state.main):
                self.host.lay(state)
                found = self.findings()
                relays = self.relays(state)
                told, let_through = told + bool(found), let_through + relays
                self.assertFalse(relays and not found, "all is green, and strangers relay")
                if not found:
                    continue
                for _ in range(5):
                    if not found or not self.host.mend(found):
                        break
                    found = self.findings()
                self.assertEqual(found, [])
                self.assertFalse(self.relays(state), "mended, and strangers relay")
        # Neither side is empty: the lists are of both kinds.
        self.assertGreater(let_through, COUNT // 8)
        self.assertLess(told, COUNT * 7 // 8)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        COUNT, SEED = int(sys.argv.pop(1)), int(sys.argv.pop(1))
    mta_test.main()
