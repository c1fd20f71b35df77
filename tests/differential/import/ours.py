"""replygate: imports a configuration, and plays transactions through the policy."""

import json
import re
import subprocess

TIME = "2026-06-10T12:00:00Z"  # a Wednesday


class Failed(Exception):
    pass


class Import:
    """The policy, what was lost, and how the import ended."""

    def __init__(self, binary, folder, arguments, at=TIME):
        self.binary, self.at = binary, at
        done = subprocess.run([binary, "import", *map(str, arguments)], capture_output=True, text=True)
        if done.returncode not in (0, 1):
            raise Failed(f"import ends with {done.returncode}: {done.stderr}")
        self.lost = done.stderr.splitlines()
        if bool(self.lost) != (done.returncode == 1):
            raise Failed(f"exit status {done.returncode}, lost {len(self.lost)}")
        self.text = done.stdout
        self.policy = folder / "policy.toml"
        # As an admin would have it: the output is included.
        (folder / "imported.toml").write_text(done.stdout)
        self.policy.write_text('version = 1\ninclude = ["imported.toml"]\n')

    def lost_lines(self):
        """Numbers of the lines in the source, where the importer tells them."""
        return [int(number) for line in self.lost for number in re.findall(r"\bline (\d+):", line)[:1]]

    def verdicts(self, transactions):
        """One class for each transaction."""
        lines = []
        for one in transactions:
            name = "" if one.name == "unknown" else one.name
            lines += [f"CONNECT {one.client} {name}".strip(), f"EHLO {one.helo}"]
            if one.tls:
                lines += [f"STARTTLS {one.tls}"]
            if one.user:
                lines += [f"AUTH {one.user} PLAIN"]
            lines += [f"MAIL FROM:<{one.sender}> SIZE={one.size}"]
            lines += [f"RCPT TO:<{recipient}>" for recipient in one.recipients]
            lines += ["DATA", "Subject: x", "", "x", ".", "QUIT"]
        script = self.policy.with_name("session")
        script.write_text("\n".join(lines) + "\n")
        done = subprocess.run([self.binary, "try", self.policy, "--session", script, "--at", self.at, "--json"],
                              capture_output=True, text=True)
        if done.returncode not in (0, 1):
            raise Failed(f"try ends with {done.returncode}: {done.stderr}\n{self.text}")
        return self.classes(json.loads(done.stdout)["dialogue"], transactions)

    def classes(self, dialogue, transactions):
        sessions = []
        for step in dialogue:
            if step["command"].startswith("CONNECT"):
                sessions.append([])
            sessions[-1].append((step["command"].split()[0], step["reply"]))
        assert len(sessions) == len(transactions)
        return [self.class_of(session) for session in sessions]

    @staticmethod
    def class_of(session):
        """By recipient; a message that is refused, held or discarded as a whole is so for each."""
        before = [reply for word, reply in session if word in ("CONNECT", "EHLO", "MAIL") and reply[0] in "45"]
        recipients = [kind(before[0] if before else reply) for word, reply in session if word == "RCPT"]
        if all(one in ("temp", "perm") for one in recipients):
            return recipients
        message = kind(next(reply for word, reply in session if word == "DATA"))
        return [message if one == "pass" else one for one in recipients]


def kind(reply):
    if reply[0] == "4":
        return "temp"
    if reply[0] == "5":
        return "perm"
    if "(discarded)" in reply:
        return "discard"
    return "hold" if "(held:" in reply else "pass"
