"""G24 over SMTP: hostile values in replies, through Postfix and Sendmail: g24_smtp.py [--full]."""

import pathlib
import random
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "mta"))
import mta_test
from daemon import Daemon
from postfix import Postfix
from sendmail import Sendmail
from smtp import Client, Closed

COUNT = 500 if "--full" in sys.argv else 60
POLICY = '[[rule]]\nname = "r"\nwhen = { sender = "*@sender.test" }\nreply = { code = 554, text = ["100% no to {sender}", "%s %d {sender}"] }\n'
# What an SMTP client can write into a local part without quotes, and what it cannot.
PLAIN = "abcxyz0189!#$%&'*+-/=?^_`{|}~"
good = True
random.seed(24)


def report(what, figure, limit, passed):
    global good
    good = good and passed
    print(f"G24  {what:<58} {figure:>16}  {limit:<12} {'pass' if passed else 'FAIL'}", flush=True)


def local_part():
    return "".join(random.choice(PLAIN) for _ in range(random.randint(1, 60)))


def play(name, start):
    wrong, generic, refused_by_mta = [], 0, 0
    with Daemon(POLICY) as daemon, start(daemon.port) as mta:
        for _ in range(COUNT):
            sender = local_part()
            try:
                with Client(mta.port, source="127.0.0.1") as client:
                    client("EHLO client.test")
                    reply = client(f"MAIL FROM:<{sender}@sender.test>")
            except Closed:
                generic += 1
                continue
            shown = f"{sender.lower()}@sender.test"
            if reply == f"554-5.7.1 100% no to {shown}\n554 5.7.1 %s %d {shown}":
                continue
            if reply.startswith(("501", "553")):
                refused_by_mta += 1  # a spelling that the MTA itself does not take
            elif "5.7.1" not in reply:
                generic += 1
            else:
                wrong.append((sender, reply))
    for sender, reply in wrong[:3]:
        print(f"     {sender!r} was answered {reply!r}")
    report(f"{name}: texts of {COUNT} that are not the intended ones", len(wrong), "= 0", not wrong)
    report(f"{name}: generic replies", generic, "= 0", generic == 0)
    report(f"{name}: spellings that the MTA refused itself", refused_by_mta, f"< {COUNT // 2}", refused_by_mta < COUNT // 2)


mta_test.begin()
play("Postfix", lambda port: Postfix(f"inet:127.0.0.1:{port}"))
play("Sendmail", lambda port: Sendmail(f"inet:{port}@127.0.0.1"))
sys.exit(0 if good else 1)
