"""What a real Postfix logs of mail with every outcome, through a content filter, aliases, expansion,
requeueing and expiry: each attempt must be known, of the right sender. Run by itself: python3 tests/mta/test_logs.py;
REPLYGATE_LOG_MAILS=5000 plays so many mails, REPLYGATE_LOGS=DIR leaves the log there.
"""

import os
import pathlib
import re
import socketserver
import subprocess
import threading
import unittest

import alone
import postfix
from daemon import wait_until
from smtp import Client

FIGURES = os.environ.get("LOG_FIGURES", "build/release/tests/log_figures")
MAILS = int(os.environ.get("REPLYGATE_LOG_MAILS", "300"))
PORT, SMTPD, FILTERED, BACK = 2690, 2625, 2627, 2628

SETTINGS = f"""
relayhost = [127.0.0.1]:{PORT}
smtp_host_lookup = native
recipient_delimiter = +
virtual_alias_maps = regexp:{{dir}}/virtual
alias_maps = texthash:{{dir}}/aliases
alias_database =
transport_maps = regexp:{{dir}}/transport
allow_mail_to_files = alias
minimal_backoff_time = 5s
maximal_backoff_time = 5s
queue_run_delay = 5s
maximal_queue_lifetime = 20s
bounce_queue_lifetime = 20s
delay_warning_time = 0
smtp_destination_rate_delay = 0
default_destination_concurrency_failed_cohort_limit = 0
default_process_limit = 100
"""
SERVICES = f"""
127.0.0.1:{FILTERED} inet n - n - 100 smtpd -o syslog_name=postfix/filtered -o content_filter=scan:[127.0.0.1]:{BACK}
127.0.0.1:{BACK} inet n - n - 100 smtpd -o syslog_name=mx-back
scan unix - - n - 20 smtp -o syslog_name=postfix/scan
pipe unix - n n - - pipe user=nobody argv=/bin/false
"""
VIRTUAL = "/^expand(.*)@list\\.test$/ a$1@there.test, soft$1@there.test, hard$1@there.test\n"
TRANSPORT = ("/@gone\\.test$/ error:5.1.2 no such domain here\n/@piped\\.test$/ pipe:\n/@thrown\\.test$/ discard:\n")
ALIASES = 'team: "a.team@there.test", "hard.team@there.test"\nfile: /dev/null\n'


class Handler(socketserver.StreamRequestHandler):
    """A server of many tempers: a recipient's name says which."""

    def say(self, text):
        self.wfile.write(text.encode() + b"\r\n")

    def handle(self):
        self.say("220 there.test ESMTP")
        after = None
        for line in self.rfile:
            word = line[:4].upper()
            name = re.search(rb"<([a-z]+)", line)
            name = name and name[1].decode()
            if word == b"RCPT":
                if name == "drop":
                    return
                said = {"soft": "450 4.2.0 to=<v@v.test>, relay=none, dsn=5.1.1, status=bounced (later)",
                        "hard": "550-5.1.1 nobody\r\n550 5.1.1 of that name; queued as 1234567890AB",
                        "full": "452 4.2.2 mailbox full", "blocked": "554 5.7.1 blocked using zen.spamhaus.org",
                        "never": "450 4.7.1 never"}.get(name)
                with self.server.lock:
                    seen = line in self.server.seen
                    self.server.seen.add(line)
                if name == "soft" and seen:
                    said = None
                after = "554 5.7.1 spam" if name == "spam" else None
                self.say(said or "250 2.1.5 Ok")
            elif word == b"DATA":
                self.say("354 go on")
                for text in iter(self.rfile.readline, b".\r\n"):
                    if not text:
                        return
                self.say(after or "250 2.0.0 Ok: queued as 9F1C2A3B4D")
            elif word == b"QUIT":
                self.say("221 Bye")
                return
            else:
                self.say("250 there.test")


class Tempers(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 200

    def __init__(self):
        super().__init__(("127.0.0.1", PORT), Handler)
        self.lock, self.seen = threading.Lock(), set()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()


def figures_of(path, *options):
    run = subprocess.run([FIGURES, *options, path], capture_output=True, text=True, check=True)
    attempts = [line.split()[1:] for line in run.stdout.splitlines() if line.startswith("attempt ")]
    figures = dict(line.rsplit(" ", 1) for line in run.stdout.splitlines() if not line.startswith(("attempt ", "mail ")))
    return {name: int(value) for name, value in figures.items()}, attempts


def recipients_of(number):
    """Each name has its mail's number, so that an attempt tells whose it should be."""
    kinds = ["a", "soft", "hard", "blocked", "spam", "full", "drop", "never"]
    names = [f"{kinds[number % 8]}{number}@there.test", f"a{number}.b@there.test"]
    extra = [f"expand{number}@list.test", f"x{number}@gone.test", f"x{number}@piped.test", f"x{number}@thrown.test",
             f"team+{number}@local.test", f"file+{number}@local.test"]
    return names + [extra[number % 6]]


class Logs(unittest.TestCase):
    taken = 0

    def look_at(self, name, path, pattern):
        text = pathlib.Path(path).read_text(errors="replace")
        lines = len(re.findall(pattern, text, re.M))
        figures, attempts = figures_of(path, "--attempts")
        wrong = []
        for sender, recipient, *_ in attempts:
            number = re.match(r"[a-z]+(\d+)", recipient)
            if sender != "?" and number and sender != f"s{number[1]}@local.test":
                wrong.append((sender, recipient))
        known = figures["attempts"] - figures["orphans"]
        print(f"{name}: {figures['lines']} lines, {lines} of deliveries, {figures['attempts']} read, {known} attributed, "
              f"{figures['notices']} of them word to senders; {len(wrong)} to the wrong sender")
        if folder := os.environ.get("REPLYGATE_LOGS"):
            pathlib.Path(folder, name + ".log").write_text(text)
        self.assertEqual(wrong, [])
        self.assertGreaterEqual(figures["attempts"], lines)
        self.assertGreaterEqual(known, 0.999 * figures["attempts"])
        self.assertEqual((figures["mails"], figures["recipients"]), (MAILS, self.taken), name)

    def submit(self, ports):
        for port in ports:
            with Client(port, source="127.0.0.1") as client:
                client("EHLO h.test")
                for number in range(MAILS):
                    if ports[number % len(ports)] != port:
                        continue
                    said = client.message(f"s{number}@local.test", recipients_of(number))
                    self.assertEqual(said["end"][:3], "250", said)
                    self.taken += sum(reply.startswith("250") for reply in said["rcpt"])

    def test_postfix(self):
        master = postfix.MASTER
        changed = re.sub(r"^(smtp|relay) unix (.*) discard$", r"\1 unix \2 smtp", master, flags=re.M)
        changed = re.sub(r"^local unix .*$", "local unix - n n - - local", changed, flags=re.M)
        postfix.MASTER = changed + SERVICES
        make_queue = postfix.Postfix.make_queue

        def with_maps(mta):
            make_queue(mta)
            for name, text in (("virtual", VIRTUAL), ("transport", TRANSPORT), ("aliases", ALIASES)):
                (mta.dir / name).write_text(text)
            main = mta.etc / "main.cf"
            main.write_text(main.read_text().replace("{dir}", str(mta.dir)))

        postfix.Postfix.make_queue = with_maps
        try:
            with Tempers(), postfix.Postfix(port=SMTPD, settings=SETTINGS) as mta:
                self.submit((SMTPD, FILTERED))
                subprocess.run(["postsuper", "-c", mta.etc, "-r", "ALL"], capture_output=True)

                def is_empty():
                    listed = subprocess.run(["postqueue", "-c", mta.etc, "-j"], capture_output=True, text=True)
                    return listed.returncode == 0 and not listed.stdout.strip()

                wait_until(is_empty, "the queue to be empty", 300)
                self.look_at("postfix", mta.dir / "mail.log", r"postfix/\S+\[\d+\]: \w+: to=<.* status=\w+")
        finally:
            postfix.MASTER, postfix.Postfix.make_queue = master, make_queue


if __name__ == "__main__":
    alone.alone()
    unittest.main()
