"""What became of mail, over kills and rotations: outcomes_killed.py REPLYGATE [--full].

A daemon that follows a growing log is killed at random moments, and the log is renamed or emptied behind a copy. In the
end each outcome must be counted once: in SQLite, and in a Redis that stands still now and then. Then: how soon a line of
the log is counted by a daemon that lives.
"""

import datetime
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

BINARY = sys.argv[1]
FULL = "--full" in sys.argv
KILLS, LATENCIES = (200, 200) if FULL else (15, 40)
SENDER = "s@local.test"
good = True


def report(what, figure, limit, passed):
    global good
    good = good and passed
    print(f"OUT  {what:<58} {figure:>16}  {limit:<12} {'pass' if passed else 'FAIL'}", flush=True)


class Milter:
    """An MTA's connection to the daemon."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20)
        self.socket.connect(path)
        self.ask(b"O" + struct.pack(">III", 6, 0x1FF, 0))
        self.ask(b"Cclient.test\x004\x9c\x40192.0.2.1\x00")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, packet):
        self.socket.sendall(struct.pack(">I", len(packet)) + packet)

    def take(self, size):
        octets = b""
        while len(octets) < size:
            more = self.socket.recv(size - len(octets))
            if not more:
                raise ConnectionError("the daemon has closed the connection")
            octets += more
        return octets

    def ask(self, packet):
        self.send(packet)
        return self.take(struct.unpack(">I", self.take(4))[0])

    def message(self, queue_id, recipients):
        self.send(b"DMi\x00" + queue_id.encode() + b"\x00")
        answers = [self.ask(b"M<" + SENDER.encode() + b">\x00")]
        answers += [self.ask(b"R<" + r.encode() + b">\x00") for r in recipients]
        answers.append(self.ask(b"E"))
        if any(answer[:1] not in b"ca" for answer in answers):
            raise RuntimeError(f"not let through: {answers}")


class Host:
    """A daemon with its log, and what should come of that."""

    def __init__(self, store):
        self.store = store
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="replygate-outcomes."))
        self.server = self.start_redis() if store == "redis" else None
        self.log = self.folder / "mail.log"
        self.log.touch()
        (self.folder / "policy.toml").write_text(f"""version = 1
[milter]
listen = "unix:{self.folder}/milter.sock"
[control]
listen = "unix:{self.folder}/control.sock"
[outcomes]
log = "{self.log}"
path = "{self.folder}/outcomes.db"
[store]
{self.settings()}
[history]
max_records = 0
[log]
decisions = "file:/dev/null"
[site]
local_domains = ["local.test"]
relay = "mta"
[[rule]]
name = "watch"
per = "sender"
limit = ["1M hard_bounces / 1w", "1M deliveries / 1w", "1M deferrals / 1w"]
reply = 450
""")
        self.messages = 0
        self.rotated = 0
        self.process = None
        self.writer = self.log.open("a")

    def settings(self):
        if self.server:
            return f'backend = "redis"\nservers = "unix:{self.folder}/redis.sock"\ntimeout = "5s"'
        return f'path = "{self.folder}/state.db"'

    def start_redis(self):
        server = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", self.folder / "redis.sock", "--save", "",
                                   "--dir", self.folder], stdout=subprocess.DEVNULL)
        self.until((self.folder / "redis.sock").exists, "Redis to start")
        return server

    def stand_still(self):
        """The store does not answer for a while, and may or may not have counted."""
        if self.server:
            self.server.send_signal(signal.SIGSTOP)
            threading.Timer(random.random() * 0.3, lambda: self.server.send_signal(signal.SIGCONT)).start()

    def close(self):
        self.kill()
        if self.server:
            self.server.kill()
            self.server.wait()
        shutil.rmtree(self.folder)

    def start(self):
        stderr = (self.folder / "stderr").open("a")
        self.process = subprocess.Popen([BINARY, "run", "--as-root", "-c", self.folder / "policy.toml"], stderr=stderr,
                                        stdout=subprocess.DEVNULL)
        self.until(lambda: self.outcomes() is not None, "the daemon to start")

    def kill(self):
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        self.process = None

    def ask(self, **request):
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(20)
            control.connect(f"{self.folder}/control.sock")
            control.sendall(json.dumps({"v": 1, **request}).encode() + b"\n")
            return json.loads(control.makefile().readline())

    def outcomes(self):
        try:
            return self.ask(command="status")["result"]["outcomes"]
        except OSError:
            return None

    def used(self):
        rows = self.ask(command="quota-show", key=SENDER)["result"]["limits"]
        return {row["limit"].split()[1]: row["used"] for row in rows}

    @staticmethod
    def until(condition, what, seconds=60):
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"waited {seconds} s for {what}")
            time.sleep(0.01)

    def submit(self, count):
        """Messages that the daemon has surely kept; gives the lines that the MTA writes of each."""
        if self.server:  # without its store the daemon would let none through
            self.server.send_signal(signal.SIGCONT)
            self.until(lambda: self.ask(command="status")["result"]["store"]["trouble"] == "", "the store to answer")
        lines = []
        with Milter(f"{self.folder}/milter.sock") as mta:
            for _ in range(count):
                self.messages += 1
                queue_id = f"{self.messages:09X}F"
                mta.message(queue_id, ["a@there.test", "b@there.test", "c@there.test"])
                lines += lines_of(queue_id)
        self.until(lambda: self.outcomes()["messages"] == self.messages, "the messages to be kept")
        return lines

    def write(self, line):
        now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="microseconds")
        self.writer.write(f"{now} mx {line}\n")
        self.writer.flush()

    def rotate(self):
        self.rotated += 1
        aside = self.folder / f"mail.log.{self.rotated}"
        if self.rotated % 2:
            self.log.rename(aside)
            for _ in range(random.randrange(3)):
                self.write("postfix/qmgr[1]: 0000000000: removed")  # before the writer is told
            self.writer.close()
        else:
            self.writer.close()
            shutil.copyfile(self.log, aside)
            os.truncate(self.log, 0)
        self.writer = self.log.open("a")


def lines_of(queue_id):
    said = "host mx.there.test[192.0.2.9] said: "
    attempts = [("a", "5.1.1", "bounced", said + "550 5.1.1 no such user (in reply to RCPT TO command)"),
                ("c", "4.2.2", "deferred", said + "452 4.2.2 mailbox full (in reply to RCPT TO command)"),
                ("b", "2.0.0", "sent", "250 2.0.0 Ok"),
                ("c", "4.2.2", "deferred", said + "452 4.2.2 mailbox full (in reply to RCPT TO command)"),
                ("c", "2.0.0", "sent", "250 2.0.0 Ok")]
    lines = [f"postfix/smtpd[2]: {queue_id}: client=pc[192.0.2.1]",
             f"postfix/qmgr[1]: {queue_id}: from=<{SENDER}>, size=100, nrcpt=3 (queue active)"]
    for name, dsn, status, text in attempts:
        lines.append(f"postfix/smtp[3]: {queue_id}: to=<{name}@there.test>, relay=mx.there.test[192.0.2.9]:25, delay=1, "
                     f"delays=0/0/0/1, dsn={dsn}, status={status} ({text})")
    return lines + [f"postfix/qmgr[1]: {queue_id}: removed"]


def kills(host, count):
    random.seed(19)
    host.start()
    for _ in range(count):
        lines = host.submit(4)
        doomed = threading.Timer(random.random() * 0.25, host.kill)
        doomed.start()
        for line in lines:
            host.write(line)
            time.sleep(random.random() * 0.01)
            if random.random() < 0.02:
                host.rotate()
            if random.random() < 0.01:
                host.stand_still()
        doomed.join()
        if random.random() < 0.5:
            host.rotate()
        if random.random() < 0.3:  # while it begins
            process = subprocess.Popen([BINARY, "run", "--as-root", "-c", host.folder / "policy.toml"], stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL)
            time.sleep(random.random() * 0.3)
            process.kill()
            process.wait()
        host.start()
    expected = {"hard_bounces": host.messages, "deliveries": 2 * host.messages, "deferrals": host.messages}
    try:
        host.until(lambda: all(host.used()[unit] >= number for unit, number in expected.items()), "all to be counted", 20)
    except TimeoutError:
        pass
    host.write("postfix/qmgr[1]: 0000000000: removed")
    host.until(lambda: host.outcomes()["uncounted"] == 0, "nothing to be under way")
    used = host.used()
    lost = sum(max(number - used[unit], 0) for unit, number in expected.items())
    doubled = sum(max(used[unit] - number, 0) for unit, number in expected.items())
    report(f"{host.store}: {count} kills, {host.rotated} rotations, {sum(expected.values())} outcomes: lost", lost, "= 0", lost == 0)
    report(f"{host.store}: counted twice", doubled, "= 0", doubled == 0)
    if lost or doubled:
        print(f"expected {expected}, got {used}; {host.outcomes()}\n" + (host.folder / "stderr").read_text()[-2000:])


def latencies(host):
    times = []
    before = host.used()["hard_bounces"]
    for _ in range(LATENCIES):
        lines = host.submit(1)
        begin = time.monotonic()
        for line in lines:
            host.write(line)
        before += 1
        host.until(lambda: host.used()["hard_bounces"] == before, "a bounce to be counted")
        times.append(time.monotonic() - begin)
    p99 = sorted(times)[int(0.99 * (len(times) - 1))]
    report(f"from a line of the log to its counter, p99 of {LATENCIES}", f"{p99:.3f} s", "<= 1", p99 <= 1)


for store in ("sqlite", "redis"):
    if store == "redis" and shutil.which("redis-server") is None:
        continue
    host = Host(store)
    try:
        kills(host, KILLS if store == "sqlite" else KILLS // 3)
        if store == "sqlite":
            latencies(host)
    finally:
        host.close()
sys.exit(0 if good else 1)
