"""Name spaces of a test's own: its ports, processes, mounts, host name and look-ups are nobody else's.

Tests run side by side so, and whatever a test has started ends with it, even if it is killed. Of three processes the
first waits, the second is what init is to a system (it takes in orphans and answers DNS queries: no name exists), and
the third runs the test. Temporary files are in memory and vanish with the name spaces. Needs root.
"""

import ctypes
import faulthandler
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import threading

SKIPPED = 77
HOST = "mx.example.test"
# Where the test's own file system is, at the same place in every test.
FOLDER = pathlib.Path("/run/replygate-test")
HOSTS = FOLDER / "hosts"

NEW_MOUNTS, NEW_HOST_NAME, NEW_PROCESSES, NEW_NETWORK = 0x00020000, 0x04000000, 0x20000000, 0x40000000
BIND, RECURSIVE, PRIVATE = 0x1000, 0x4000, 0x40000
NO_SUID_DEV_EXEC = 0xE
SET_PARENT_DEATH_SIGNAL = 1

libc = ctypes.CDLL(None, use_errno=True)
inside = False


def call(name, *arguments):
    """A function of libc that the standard library lacks."""
    if getattr(libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def mount(source, target, kind=None, flags=0, options=None):
    def text(value):
        return None if value is None else os.fsencode(value)

    call("mount", text(source), text(target), text(kind), ctypes.c_ulong(flags), text(options))


def alone(seconds=850):
    """Gives the rest of the program name spaces of its own; it ends after `seconds` at the latest."""
    global inside
    try:
        call("unshare", NEW_MOUNTS | NEW_HOST_NAME | NEW_NETWORK)
        make_private()
        call("unshare", NEW_PROCESSES)
    except OSError as error:
        print(f"skipped: the test needs name spaces of its own and may not make them here: {error}", file=sys.stderr)
        sys.exit(SKIPPED)
    stay_until_it_ends()
    prepare()
    names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    names.bind(("127.0.0.1", 53))
    stay_until_it_ends(lambda: threading.Thread(target=know_no_name, args=(names,), daemon=True).start())
    names.close()
    inside = True
    faulthandler.dump_traceback_later(seconds, exit=True)


def stay_until_it_ends(task=lambda: None):
    """Goes on in a new process; this one does `task`, takes in what ends, and ends as the new one does."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        call("prctl", SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to the test as well
    signal.signal(signal.SIGTERM, lambda *_: os._exit(128 + signal.SIGTERM))  # which ends all the others
    task()
    while True:
        ended, status = os.wait()
        if ended == child:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)


def make_private():
    """Nothing that is mounted from here on shows outside. In a chroot "/" need not be a mount point: entering the name
    space that one is in leads to its true root, and then one goes back."""
    root, folder = os.open("/", os.O_RDONLY), os.open(".", os.O_RDONLY)
    own = os.open("/proc/self/ns/mnt", os.O_RDONLY)
    call("setns", own, NEW_MOUNTS)
    mount(None, "/", None, RECURSIVE | PRIVATE)
    os.fchdir(root)
    os.chroot(".")
    os.fchdir(folder)
    for opened in (root, folder, own):
        os.close(opened)


def prepare():
    """Only `HOSTS` and the process below answer look-ups, whatever the system is set to."""
    mount("proc", "/proc", "proc", NO_SUID_DEV_EXEC)
    FOLDER.mkdir(parents=True, exist_ok=True)
    mount("tmpfs", FOLDER, "tmpfs", 0, "mode=1777")
    os.environ["TMPDIR"] = str(FOLDER)
    socket.sethostname(HOST)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    switch = pathlib.Path("/etc/nsswitch.conf")
    settings = re.sub(r"(?m)^hosts:.*\n?", "", switch.read_text()) if switch.exists() else ""
    replace("/etc/nsswitch.conf", settings + "hosts: files dns\n")
    replace("/etc/resolv.conf", "nameserver 127.0.0.1\n")
    pathlib.Path("/etc/hosts").touch()
    replace("/etc/hosts", "127.0.0.1 localhost\n")


def replace(path, text):
    """Puts a file of the test's over one of the system's."""
    own = FOLDER / pathlib.Path(path).name
    own.write_text(text)
    own.chmod(0o644)
    if os.path.exists(path):
        mount(own, path, None, BIND)


def know_no_name(names):
    """Answers each query at once, so that nobody waits for a name server."""
    while True:
        query, client = names.recvfrom(4096)
        end = query.find(b"\0", 12) + 5  # behind the question's name, type and class
        names.sendto(query[:2] + b"\x81\x83\0\1\0\0\0\0\0\0" + query[12:end], client)
