"""A host for doctor: a Postfix whose settings are laid anew for each state, strangers who try it, and doctor itself."""

import contextlib
import dataclasses
import json
import pathlib
import re
import shlex
import socket
import subprocess
import threading

from daemon import BINARY, Daemon
from postfix import Postfix, merged
from smtp import Client

# Addresses that no mynetworks has; the loopback device has both.
SERVER, STRANGER = "198.51.100.1", "198.51.100.9"
MILTER, OTHER_MILTER, SERVICE = 8893, 8896, 8894
PORT, SUBMISSION, GIVEN_BACK = 2625, 2626, 10025

JUDGED = (
    '[[rule]]\nname = "judged"\nwhen = { recipient = "bad@local.test" }\nreply = { code = 550, text = "judged" }\n'
)
SITE = '[site]\nlocal_domains = ["local.test"]\nrelay_domains = ["relay.test"]\ntrusted_networks = ["127.0.0.1"]\n'
NO_RELAY = (
    '[[rule]]\nname = "no-open-relay"\nunless = { recipient_domain = ["$local_domains", "$relay_domains"], '
    'client_ip = "$trusted_networks", authenticated = true }\nreply = "relay-denied"\n'
)
QUOTA = '[[rule]]\nname = "quota"\nper = "sender"\nlimit = "1000 messages / 1h"\nreply = "quota-exceeded"\n'
HARVEST = '[[rule]]\nname = "harvest"\nper = "client_ip"\nlimit = "1000 refusals / 1h"\nreply = "rate-limited"\n'
MANY = '[[rule]]\nname = "many"\nwhen = { recipients = "> 100" }\nreply = "too-many-recipients"\n'
# The second door leaves names of ports to the milter, and so does not accept.
ACCEPTED = '[[rule]]\nname = "port"\nwhen = { listener = "mx.example.test" }\naccept = true\n'
SECOND_DOOR = f'[policy_service]\nlisten = "inet:{SERVICE}@127.0.0.1"\n'


def mta_denies(rules, site=SITE):
    return site + 'relay = "mta"\n' + rules + JUDGED


POLICIES = {
    "plain": mta_denies(""),
    "guard": SITE + NO_RELAY + JUDGED,
    "guard by halves": SITE + NO_RELAY.replace("client_ip", 'helo = "friend.test", client_ip') + JUDGED,
    "guard that trusts all": SITE.replace('"127.0.0.1"', '"0.0.0.0/0"') + NO_RELAY + JUDGED,
    "quota": mta_denies(QUOTA),
    "harvest": mta_denies(HARVEST),
    "listener": mta_denies(QUOTA.replace("per =", 'unless = { listener = "back" }\nper =')),
    "many": mta_denies(MANY),
    "door": SECOND_DOOR + SITE + NO_RELAY + JUDGED,
    "guard at the second door": SECOND_DOOR + SITE + JUDGED + ACCEPTED + NO_RELAY,
    "door alone": SECOND_DOOR + mta_denies(""),
}


def shipped_policy():
    """What the package installs, at our port; where the decisions go is the test's matter."""
    text = (pathlib.Path(__file__).parents[2] / "conf/replygate.toml").read_text()
    text = re.sub(r'(?ms)^\[milter\].*?(?=^\[site\])', "", text.replace("version = 1", ""))
    return re.sub(r'(?ms)^\[store\].*?(?=^\[history\])', "", text).replace('["localhost"]', '["local.test"]') + JUDGED


@dataclasses.dataclass
class State:
    """What is set on a host, what doctor must say of it, and what strangers get."""

    name: str
    finds: list = dataclasses.field(default_factory=list)  # "error: words of it"; none: all is fine
    main: dict = dataclasses.field(default_factory=dict)
    master: list = dataclasses.field(default_factory=list)  # "submission/inet/smtpd_milters="
    services: str = ""  # more of master.cf
    policy: str = "plain"
    files: dict = dataclasses.field(default_factory=dict)  # in the folder of main.cf, as {etc} names it
    on_error: str = "tempfail"
    mended: bool = True  # what doctor says mends it
    tried: bool = False  # by strangers
    relays: bool = False
    judged: bool = True
    port: int = PORT
    says: dict = dataclasses.field(default_factory=dict)  # what the stranger says of himself


class ServedDaemon(Daemon):
    """A daemon that can be commanded."""

    def start(self):
        text = self.policy_file.read_text()
        if "[control]" not in text:
            self.policy_file.write_text(text.replace("[log]", f'[control]\nlisten = "unix:{self.folder}/control.sock"\n[log]'))
        super().start()

    def policy(self, rules, on_error="tempfail"):
        """The same daemon with other rules; sessions that begin from now on have them."""
        if not hasattr(self, "head"):
            self.head = self.policy_file.read_text().removesuffix(POLICIES["plain"])
        text = self.head.replace('on_error = "tempfail"', f'on_error = "{on_error}"') + rules
        before = self.policy_file.read_text()
        self.policy_file.write_text(text)
        if text == before:
            return
        if ("[policy_service]" in text) != ("[policy_service]" in before):
            self.stop()
            self.start()
            return
        done = subprocess.run(
            [BINARY, "reload", "--socket", f"{self.folder}/control.sock"], capture_output=True, text=True
        )
        if done.returncode != 0:
            raise AssertionError(done.stderr)


class Host(Postfix):
    """A private Postfix behind the ports of a public host."""

    def __init__(self, daemon):
        for address in (SERVER, STRANGER):
            subprocess.run(["ip", "address", "replace", f"{address}/32", "dev", "lo"], check=True)
        super().__init__(f"inet:127.0.0.1:{MILTER}", settings=f"non_smtpd_milters = inet:127.0.0.1:{MILTER}\n"
                         "smtpd_authorized_xclient_hosts =\nbounce_queue_lifetime = 1d\nmaximal_queue_lifetime = 1d\n"
                         "smtpd_client_connection_rate_limit = 0\nsmtpd_hard_error_limit = 20\n")
        self.daemon = daemon
        self.main = (self.etc / "main.cf").read_text()
        master = (self.etc / "master.cf").read_text().replace(f"127.0.0.1:{self.port} inet", f"0.0.0.0:{self.port} inet")
        self.master = master + f"0.0.0.0:{SUBMISSION} inet n - n - 50 smtpd\n"

    def lay(self, state):
        """Writes what the state says over a good host."""
        for name, text in state.files.items():
            path = self.etc / name
            path.write_text(text)
            if name.endswith(".map"):
                subprocess.run(["postmap", "-c", self.etc, f"hash:{path}"], check=True)
        edits = "".join(f"{name} = {value}\n" for name, value in state.main.items()).replace("{etc}", str(self.etc))
        (self.etc / "main.cf").write_text(merged(self.main, edits))
        services = self.master + state.services
        for word in state.master:
            service, name = word.split("/inet/") if "/inet/" in word else word.split("/unix/")
            services = re.sub(rf"(?m)^({re.escape(service)} .*)$", rf"\1 -o {name}", services)
        (self.etc / "master.cf").write_text(services)
        (self.etc / "main.cf.replygate").unlink(missing_ok=True)
        self.settle()
        self.daemon.policy(POLICIES[state.policy], state.on_error)

    def doctor(self, *more):
        words = [BINARY, "doctor", "-c", str(self.daemon.policy_file), "--postfix", str(self.etc), "--json",
                 "--socket", f"{self.daemon.folder}/control.sock", *more]
        said = subprocess.run(words, capture_output=True, text=True)
        return json.loads(said.stdout)

    def findings(self):
        """What doctor has against this Postfix."""
        return [f for f in self.doctor() if f["subject"] == "postfix" and f["level"] != "ok"]

    def mend(self, findings):
        """Does what doctor says; whether there was something to do."""
        done = False
        for finding in findings:
            command = finding["mend"].split(" to the policy, then ")[-1]
            if not command.startswith(("postconf ", "replygate setup ")):
                continue
            words = shlex.split(command)
            words[0] = BINARY if words[0] == "replygate" else words[0]
            run = subprocess.run(words, capture_output=True, text=True)
            if run.returncode not in (0, 1):
                raise AssertionError(f"{command}: {run.stderr}")
            self.settle()
            done = True
        return done

    def strangers(self, state, port=None):
        """What one gets at a port: (his mail is judged, it is relayed)."""
        says = {"helo": "stranger.test", "sender": "s@sender.test", "to": "u@foreign.test", **state.says}
        kind = ProxiedClient if "proxied" in says else Client
        with kind(port or state.port, source=STRANGER, host=SERVER, timeout=10) as client:
            if "xclient" in says:
                client("XCLIENT ADDR=127.0.0.1")
            client(f"EHLO {says['helo']}")
            client(f"MAIL FROM:<{says['sender']}>")
            judged = "judged" in client("RCPT TO:<bad@local.test>")
            client("RSET")
            said = client.message(says["sender"], [says["to"]])
        return judged, said.get("end", "")[:3] == "250"


class ProxiedClient(Client):
    """One that claims to be a proxy's, and its client to be a friend."""

    def reply(self):
        if not hasattr(self, "banner") and not getattr(self, "named", False):
            self.named = True
            self.send(f"PROXY TCP4 127.0.0.1 {SERVER} 1024 25")
        return super().reply()


class OtherMilter:
    """A filter of somebody else's: it negotiates, wants to hear nothing, and lets all mail pass."""

    def __init__(self, port=OTHER_MILTER):
        self.listening = socket.create_server(("127.0.0.1", port))
        self.port = port
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                peer, _ = self.listening.accept()
            except OSError:
                return
            threading.Thread(target=self.answer, args=(peer,), daemon=True).start()

    @staticmethod
    def answer(peer):
        with peer, peer.makefile("rb") as stream, contextlib.suppress(ConnectionError):
            while head := stream.read(4):
                packet = stream.read(int.from_bytes(head, "big"))
                if packet[:1] == b"O":
                    peer.sendall(b"\0\0\0\x0dO\0\0\0\6\0\0\0\0\0\0\0\x7f")
                elif packet[:1] in b"DAQK":
                    continue
                else:
                    peer.sendall(b"\0\0\0\1c")

    def close(self):
        self.listening.close()
