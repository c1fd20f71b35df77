"""G4: SMTP sessions through Postfix and Sendmail while replygate is killed again and again: g4_killed.py [--full].

Nothing may be accepted that replygate has not seen, each command is answered, and mail is judged again soon after a kill.
"""

import pathlib
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "mta"))
import mta_test
from daemon import Daemon, listens, wait_until
from postfix import Postfix
from sendmail import Sendmail
from smtp import Client, Closed

FULL = "--full" in sys.argv
SESSIONS, KILLS = (50, 20) if FULL else (10, 4)
POLICY = (
    '[[rule]]\nname = "bad"\nwhen = { recipient = "bad@local.test" }\nreply = { code = 550, text = "refused by the policy" }\n'
)
good = True


def report(what, figure, limit, passed):
    global good
    good = good and passed
    print(f"G4   {what:<58} {figure:>16}  {limit:<12} {'pass' if passed else 'FAIL'}", flush=True)


class Seen:
    def __init__(self):
        self.lock = threading.Lock()
        self.commands = self.unanswered = self.unfiltered = self.judged = self.deferred = self.no_session = 0


def session(port, number, seen, stop):
    source = f"127.0.0.{number % 200 + 2}"
    while not stop.is_set():
        try:
            client = Client(port, source=source)
        except Closed:
            with seen.lock:
                seen.deferred += 1  # the banner was 421
            continue
        except OSError:
            with seen.lock:
                seen.no_session += 1  # the server itself takes no more for the moment: Sendmail under load
            continue
        try:
            with client:
                one_message(client, seen)
        except Closed:
            with seen.lock:
                seen.deferred += 1  # 421: the connection ends with an answer
        except OSError:
            with seen.lock:
                seen.unanswered += 1


def one_message(client, seen):
    def ask(command):
        reply = client(command)
        with seen.lock:
            seen.commands += 1
            seen.unanswered += not reply[:3].isdigit()
        return reply

    if client.banner[0][:1] != "2" or ask("EHLO client.test")[0] != "2":
        return
    if ask("MAIL FROM:<s@sender.test>")[0] != "2":
        with seen.lock:
            seen.deferred += 1
        return
    bad, accepted = ask("RCPT TO:<bad@local.test>"), False
    # Without a judgement this recipient would be taken, and the message with it.
    if bad[0] == "2" and ask("DATA")[:3] == "354":
        accepted = ask("Subject: x\r\n\r\nx\r\n.")[0] == "2"
    with seen.lock:
        seen.unfiltered += accepted
        seen.judged += "refused by the policy" in bad
        seen.deferred += bad[0] == "4"


def until_judged(port, begin):
    """Seconds from `begin` until a new session is judged as if nothing had been."""
    while time.monotonic() - begin < 20:
        try:
            with Client(port, source="127.0.0.1", timeout=5) as client:
                client("EHLO client.test")
                client("MAIL FROM:<s@sender.test>")
                if "refused by the policy" in client("RCPT TO:<bad@local.test>"):
                    return time.monotonic() - begin
        except (Closed, OSError):
            pass
        time.sleep(0.02)
    return 99.0


def play(name, start):
    seen, stop, longest = Seen(), threading.Event(), 0.0
    with Daemon(POLICY) as daemon, start(f"inet:127.0.0.1:{daemon.port}" if name == "Postfix" else f"inet:{daemon.port}@127.0.0.1") as mta:
        threads = [threading.Thread(target=session, args=(mta.port, i, seen, stop)) for i in range(SESSIONS)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(KILLS):
                known = seen.judged
                time.sleep(0.5)  # of load
                wait_until(lambda: seen.judged >= known + 5, "messages to be judged")
                begin = time.monotonic()
                daemon.kill()
                daemon.start()
                longest = max(longest, until_judged(mta.port, begin))
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert listens(daemon.port)
    report(f"{name}: messages accepted unfiltered, {KILLS} kills", seen.unfiltered, "= 0", seen.unfiltered == 0)
    report(f"{name}: commands of {seen.commands} without an answer", seen.unanswered, "= 0", seen.unanswered == 0)
    print(f"G4   {name}: connections that the server itself did not take: {seen.no_session}")
    report(f"{name}: messages that were judged", seen.judged, ">= 20", seen.judged >= 20)
    report(f"{name}: a new session is judged after a kill", f"{longest:.2f} s", "<= 1.5", longest <= 1.5)


mta_test.begin()
play("Postfix", Postfix)
play("Sendmail", lambda milter: Sendmail(milter))
sys.exit(0 if good else 1)
