"""Doctor against a real Postfix: it finds what is wrong, what it says mends it, and where all is green no stranger
relays and no mail passes unjudged."""

import contextlib
import unittest

import doctor_states
import mta_test
from doctor_host import MILTER, POLICIES, PORT, SUBMISSION, Host, OtherMilter, ServedDaemon, shipped_policy


def level_and_words(text):
    level, words = text.split(": ", 1)
    return level, words


class States(unittest.TestCase):
    """What the classes below have in common."""

    @classmethod
    def setUpClass(cls):
        POLICIES["shipped"] = shipped_policy()
        with contextlib.ExitStack() as stack:
            cls.other = stack.enter_context(contextlib.closing(OtherMilter()))
            cls.daemon = stack.enter_context(ServedDaemon(POLICIES["plain"], port=MILTER))
            cls.host = stack.enter_context(Host(cls.daemon))
            cls.addClassCleanup(stack.pop_all().close)

    def check(self, state):
        """Doctor's verdict, what strangers get, and both once more when all is mended."""
        self.host.lay(state)
        found = self.host.findings()
        told = [f"{f['level']}: {f['what']}" for f in found]
        for expected in state.finds:
            level, words = level_and_words(expected)
            self.assertTrue(any(t.startswith(level) and words in t for t in told), f"{expected!r} is not in {told}")
        if not state.finds:
            self.assertEqual(told, [])
        self.assertTrue(all(f["mend"] for f in found), told)
        if state.tried:
            self.host.reload()
            self.meet_strangers(state, green=not told)
        if found and state.mended:
            self.mend(state, found)

    def meet_strangers(self, state, green):
        for port in {state.port, PORT, SUBMISSION}:
            judged, relays = self.host.strangers(state, port)
            if port == state.port and state.judged is not None:
                self.assertEqual((judged, relays), (state.judged, state.relays), port)
            if green:
                self.assertFalse(relays, "all is green, and strangers relay")
                if state.judged and state.policy != "shipped":
                    self.assertTrue(judged, "all is green, and mail passes unjudged")

    def mend(self, state, found):
        for _ in range(5):
            if not found or not self.host.mend(found):
                break
            found = self.host.findings()
        self.assertEqual([(f["what"], f["mend"]) for f in found if "never applies" not in f["what"]], [], "it is not mended")
        if state.tried:
            self.host.reload()
            for port in {state.port, PORT}:
                judged, relays = self.host.strangers(state, port)
                self.assertEqual((judged, relays), (True, False), f"mended, port {port}")

    def check_all(self, states):
        for state in states:
            with self.subTest(state=state.name):
                self.check(state)



class Doctor(States):
    def test_mail_that_passes_unjudged(self):
        self.check_all(doctor_states.FILTERED)

    def test_ports_that_differ(self):
        self.check_all(doctor_states.SERVICES)

    def test_strangers_who_relay(self):
        self.check_all(doctor_states.RELAYING)

    def test_the_second_door(self):
        self.check_all(doctor_states.DOORS)

    def test_there_are_states_enough(self):
        states = [*doctor_states.FILTERED, *doctor_states.SERVICES, *doctor_states.RELAYING, *doctor_states.DOORS]
        self.assertGreaterEqual(len(states), 60)
        self.assertEqual(len({state.name for state in states}), len(states))


class Pairs(States):
    def test_two_bypasses_at_once(self):
        self.check_all(doctor_states.pairs())


if __name__ == "__main__":
    mta_test.main()
