"""The filters that are compared: what each is started with, and the policy of replygate."""

import contextlib
import os
import pathlib
import signal
import socket
import struct
import subprocess
import time

import peers

BARE = "bare protocol"
EMPTY = "empty libmilter filter"
SHIPPED = "asio, as shipped"
# Each part of what is shipped switched off in turn.
REPLYGATE = {
    SHIPPED: {},
    "asio, history off": {"history": False},
    "asio, log off": {"log": False},
    "asio, store in memory": {"sqlite": False},
    "asio, metrics and control off": {"services": False},
    "asio, history and log off, store in memory": {"history": False, "log": False, "sqlite": False},
    "libmilter, as shipped": {"engine": "libmilter"},
}
NAMES = [BARE, EMPTY, *REPLYGATE]

RULES = """
[[rule]]
name = "too-many-recipients"
when = { recipients = "> 100" }
reply = "too-many-recipients"
[[rule]]
name = "sender-quota"
per = "sender"
limit = "1M recipients / 1h"
reply = "quota-exceeded"
"""


def policy(folder, engine="asio", sqlite=True, log=True, history=True, services=True, threads=None):
    """What the package ships, with a quota for each sender, and records in a file as a journal may be anywhere."""
    text = f'version = 1\n[milter]\nlisten = "unix:{folder}/filter.sock"\nengine = "{engine}"\n'
    if threads:
        text += f"threads = {threads}\n"
    text += '[site]\nlocal_domains = ["localhost"]\ntrusted_networks = ["127.0.0.0/8", "::1"]\nrelay = "mta"\n'
    text += f'[log]\ndecisions = {f"""["file:{folder}/records"]""" if log else "[]"}\n'
    text += f'[store]\nbackend = "sqlite"\npath = "{folder}/state.db"\n' if sqlite else '[store]\nbackend = "memory"\n'
    text += f'[history]\npath = "{folder}/history"\n' if history else "[history]\nmax_records = 0\n"
    if services:
        text += f'[control]\nlisten = "unix:{folder}/control.sock"\n[metrics]\nlisten = "unix:{folder}/metrics.sock"\n'
    return text + RULES


def command(name, folder, built, steps):
    """What runs the filter, at FOLDER/filter.sock."""
    if name in (BARE, EMPTY):
        return [built / "tests" / ("bare_filter" if name == BARE else "empty_filter"), folder / "filter.sock", hex(steps)]
    if name in peers.NAMES:
        return peers.command(name, folder)
    return replygate(folder, built, policy(folder, **REPLYGATE[name]))


def replygate(folder, built, text):
    (folder / "policy.toml").write_text(text)
    return [built / "replygate", "run", "--as-root", "-c", folder / "policy.toml"]


@contextlib.contextmanager
def running(arguments, folder, environment=None):
    """A filter that answers at FOLDER/filter.sock; it is stopped at the end."""
    with open(folder / "errors", "w+", encoding="utf-8") as errors:
        filter_ = subprocess.Popen([str(a) for a in arguments], stdout=errors, stderr=errors, env=environment,
                                   start_new_session=True)
        try:
            while not answers(folder / "filter.sock"):
                if filter_.poll() is not None:
                    raise RuntimeError((folder / "errors").read_text())
                time.sleep(0.02)
            yield filter_.pid
        finally:
            os.killpg(filter_.pid, signal.SIGTERM)  # what it has started, too
            filter_.wait()


def answers(path):
    with socket.socket(socket.AF_UNIX) as peer:
        try:
            peer.connect(str(path))
            return True
        except OSError:
            return False


def negotiated_steps(folder):
    """The protocol flags that the filter asks of an MTA which offers all."""
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(str(folder / "filter.sock"))
        peer.sendall(struct.pack(">IcIII", 13, b"O", 6, 0x1FF, 0x1FFFFF))
        return struct.unpack(">III", peer.recv(4096)[5:17])[2]


def load(folder, built, *options):
    """What the load generator reports."""
    run = subprocess.run([str(built / "tests" / "milter_load"), "--socket", str(folder / "filter.sock"), *map(str, options)],
                         capture_output=True, text=True, check=False)
    if run.returncode != 0:
        raise RuntimeError(run.stderr + pathlib.Path(folder / "errors").read_text())
    return run.stdout
