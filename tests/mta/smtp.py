"""A client that speaks SMTP line by line and hears every octet of the answer."""

import socket


class Closed(Exception):
    """The server has closed the connection."""


class Client:
    """One SMTP session; the banner is read at once. `source` is the address to come from."""

    def __init__(self, port, source="127.0.0.2", host="127.0.0.1", timeout=40):
        self.socket = socket.create_connection((host, port), timeout=timeout, source_address=(source, 0))
        self.stream = self.socket.makefile("rb")
        self.banner = self.reply()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.stream.close()
        self.socket.close()

    def reply(self):
        """The lines of one reply, without CRLF."""
        lines = []
        while True:
            try:
                line = self.stream.readline()
            except ConnectionError:
                line = b""
            if not line:
                raise Closed("\n".join(lines))
            lines.append(line.decode("utf-8", "replace").rstrip("\r\n"))
            if lines[-1][3:4] != "-":
                return lines

    def __call__(self, command):
        """Sends a command and gives its reply as one text, lines parted by LF."""
        self.send(command)
        return "\n".join(self.reply())

    def send(self, command):
        try:
            self.socket.sendall(command.encode("utf-8") + b"\r\n")
        except ConnectionError as error:
            raise Closed(str(error)) from error

    def closed(self):
        """Whether the server closes now, without saying more."""
        try:
            return self.stream.read(1) == b""
        except ConnectionError:
            return True

    def message(self, sender, recipients, text="Subject: x\r\n\r\nx"):
        """A whole transaction: {"mail": …, "rcpt": […], "data": …, "end": …}; ends where nothing is left to do."""
        said = {"mail": self(f"MAIL FROM:<{sender}>"), "rcpt": []}
        if not said["mail"].startswith("2"):
            return said
        for recipient in recipients:
            said["rcpt"].append(self(f"RCPT TO:<{recipient}>"))
        if not any(reply.startswith("2") for reply in said["rcpt"]):
            self("RSET")
            return said
        said["data"] = self("DATA")
        if said["data"].startswith("3"):
            said["end"] = self(text + "\r\n.")
        return said
