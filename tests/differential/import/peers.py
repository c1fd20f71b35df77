"""The programs that replygate imports from, as Debian has them."""

import shutil
import socket
import subprocess
import time


def class_of(action):
    """What Postfix makes of a policy service's answer (access(5))."""
    word = action.split(None, 1)[0] if action else "DUNNO"
    if action.strip().isdigit():
        return "pass"
    if len(word) == 3 and word.isdigit() and word[0] in "45":
        return "temp" if word[0] == "4" else "perm"
    known = {"REJECT": "perm", "DEFER": "temp", "DEFER_IF_PERMIT": "temp", "HOLD": "hold", "DISCARD": "discard"}
    return known.get(word.upper(), "pass")


def request(one, recipient, state="RCPT", count=0):
    return "".join(f"{name}={value}\n" for name, value in (
        ("request", "smtpd_access_policy"), ("protocol_state", state), ("protocol_name", "ESMTP"),
        ("helo_name", one.helo), ("queue_id", ""), ("instance", "1"), ("sender", one.sender), ("recipient", recipient),
        ("recipient_count", count), ("client_address", one.client), ("client_name", one.name),
        ("reverse_client_name", one.name), ("size", one.size), ("sasl_method", "PLAIN" if one.user else ""),
        ("sasl_username", one.user), ("sasl_sender", ""), ("encryption_protocol", one.tls))) + "\n"


class Postfwd:
    """Asked by the policy protocol, on its standard input: each process has an empty cache of rates."""

    PROGRAM = "/usr/sbin/postfwd1"

    @classmethod
    def missing(cls):
        return not shutil.which(cls.PROGRAM)

    def __init__(self, rules, at_data=False):
        self.rules, self.at_data = rules, at_data

    def verdicts(self, transactions):
        requests = []
        for one in transactions:
            if self.at_data:
                only = one.recipients[0] if len(one.recipients) == 1 else ""
                requests.append(request(one, only, "DATA", len(one.recipients)))
            else:
                requests += [request(one, recipient) for recipient in one.recipients]
        done = subprocess.run([self.PROGRAM, "-f", self.rules, "--nodns", "--norulelog", "-c", "0"],
                              input="".join(requests), capture_output=True, text=True, timeout=60, env={"TZ": "UTC"})
        actions = [line[len("action="):] for line in done.stdout.splitlines() if line.startswith("action=")]
        if len(actions) != len(requests):
            raise RuntimeError(f"postfwd answers {len(actions)} of {len(requests)}: {done.stderr}")
        answers = iter(map(class_of, actions))
        if self.at_data:
            return [[next(answers)] * len(one.recipients) for one in transactions]
        return [[next(answers) for _ in one.recipients] for one in transactions]


class PolicydRateLimit:
    """The daemon, on a socket and with a database of its own."""

    PROGRAM = "/usr/bin/policyd-rate-limit"

    @classmethod
    def missing(cls):
        return not shutil.which(cls.PROGRAM)

    def __init__(self, text, folder):
        self.folder = folder / "policyd"
        self.folder.mkdir()
        self.path = self.folder / "socket"
        (self.folder / "config.yaml").write_text(
            f"{text}\nuser: root\ngroup: root\npidfile: {self.folder}/pid\nsqlite_config:\n    database: {self.folder}/db\n"
            f"SOCKET: {self.path}\ndebug: false\n")

    def verdicts(self, transactions):
        daemon = subprocess.Popen(["/usr/bin/python3", "-W", "ignore", self.PROGRAM, "--file", self.folder / "config.yaml"],
                                  stderr=subprocess.PIPE, text=True)
        try:
            with self.connection(daemon) as stream:
                return [[self.ask(stream, one, recipient) for recipient in one.recipients] for one in transactions]
        finally:
            daemon.terminate()
            daemon.communicate()

    def connection(self, daemon):
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and daemon.poll() is None:
            stream = socket.socket(socket.AF_UNIX)
            try:
                stream.connect(str(self.path))
                return stream
            except OSError:
                stream.close()
                time.sleep(0.01)
        daemon.kill()
        raise RuntimeError(f"policyd-rate-limit does not listen: {daemon.stderr.read()}")

    @staticmethod
    def ask(stream, one, recipient):
        stream.sendall(request(one, recipient).encode())
        answer = b""
        while not answer.endswith(b"\n\n"):
            answer += stream.recv(1024)
        return class_of(answer.decode().strip()[len("action="):])
