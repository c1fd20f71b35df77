"""As much of an MTA as a milter needs (protocol version 6): has decisions made without one. It offers no step that a
filter may leave out, so each command has its answer."""

import socket
import struct

VERSION, ACTIONS, STEPS = 6, 0x1FF, 0


def text(*words):
    return b"".join(word.encode() + b"\0" for word in words)


class Session:
    """One SMTP session. Each command gives the answer of the filter: its letter, and the text of a reply."""

    def __init__(self, path, client_name, client_ip, user=""):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.stream = self.socket.makefile("rb")
        self.login = ("{auth_authen}", user, "{auth_type}", "PLAIN") if user else ()
        self.ask(b"O", struct.pack("!III", VERSION, ACTIONS, STEPS))
        self.ask(b"C", text(client_name) + b"4" + struct.pack("!H", 40000) + text(client_ip))
        self.ask(b"H", text(client_name))

    def send(self, command, octets=b""):
        self.socket.sendall(struct.pack("!I", len(octets) + 1) + command + octets)

    def ask(self, command, octets=b""):
        self.send(command, octets)
        answer = b"p"
        while answer == b"p":  # a sign of life
            answer = self.stream.read(struct.unpack("!I", self.stream.read(4))[0])
        return answer[:1].decode(), answer[1:].rstrip(b"\0").decode()

    def mail(self, sender, recipients, queue_id):
        """Sends a message; the answers to RCPT, and that to the end of the message."""
        self.send(b"D", b"M" + text("i", queue_id, *self.login))
        answers = [self.ask(b"M", text(f"<{sender}>"))]
        answers += [self.ask(b"R", text(f"<{recipient}>")) for recipient in recipients]
        if not any(letter == "c" for letter, _ in answers[1:]):
            self.send(b"A")
            return answers
        answers += [self.ask(b"T"), self.ask(b"L", text("Subject", "Hello")), self.ask(b"N"), self.ask(b"B", b"Hello\r\n")]
        return [*answers, self.ask(b"E")]

    def close(self):
        self.send(b"Q")
        self.stream.close()
        self.socket.close()
