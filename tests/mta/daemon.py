"""Starts and stops replygate for tests, and reads its records."""

import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

ENGINE = os.environ.get("REPLYGATE_ENGINE", "asio")
BINARY = os.environ.get("REPLYGATE", str(pathlib.Path(__file__).parents[2] / "build/release/replygate"))


def wait_until(condition, what, seconds=30):
    """Polls until `condition()` is true; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds} s for {what}")
        time.sleep(0.02)


def listens(port, host="127.0.0.1"):
    try:
        socket.create_connection((host, port), timeout=2).close()
        return True
    except OSError:
        return False


def must_be_free(port):
    """A server that an earlier run left behind would answer for ours."""
    if listens(port):
        raise RuntimeError(f"port {port} is in use; is another test running?")


def end_group(leader, what):
    """Ends a process group, by force where it does not end by itself."""
    def gone():
        try:
            os.killpg(leader, 0)
        except ProcessLookupError:
            return True
        return False

    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(leader, number)
            wait_until(gone, f"{what} to end", 5)
        except (ProcessLookupError, TimeoutError):
            pass
        if gone():
            return
    raise TimeoutError(f"{what} does not end")


class Daemon:
    """replygate with a policy; `policy` lacks version, [milter], [policy_service], [store] and [log]."""

    def __init__(self, policy, port=8893, service_port=None, on_error="tempfail", drain_timeout="10s"):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="replygate-test."))
        self.folder.chmod(0o755)
        self.port, self.service_port = port, service_port
        self.records_file = self.folder / "records.json"
        self.policy_file = self.folder / "policy.toml"
        head = f'version = 1\n[milter]\nlisten = "inet:{port}@127.0.0.1"\nengine = "{ENGINE}"\non_error = "{on_error}"\n'
        head += f'drain_timeout = "{drain_timeout}"\n[log]\ndecisions = "file:{self.records_file}"\n'
        head += f'[store]\npath = "{self.folder}/state.db"\n'
        if service_port:
            head += f'[policy_service]\nlisten = "inet:{service_port}@127.0.0.1"\n'
        self.policy_file.write_text(head + policy)
        self.process = None
        self.frozen = False
        must_be_free(port)
        self.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.folder)

    def start(self):
        with open(self.folder / "errors", "ab") as errors:
            self.process = subprocess.Popen(
                [BINARY, "run", "--as-root", "-c", str(self.policy_file)], stderr=errors, stdout=errors
            )
        wait_until(lambda: self.process.poll() is not None or listens(self.port), "replygate to listen")
        if self.process.poll() is not None:
            raise RuntimeError((self.folder / "errors").read_text())

    def signal(self, number):
        self.process.send_signal(number)
        self.frozen = number == signal.SIGSTOP

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        """Ends it cleanly; gives the exit status and fails on a sanitizer's report."""
        if self.process.poll() is None:
            # A SIGCONT to one that is ending already would undo the SIGSTOP of a sanitizer's leak check at its exit.
            if self.frozen:
                self.signal(signal.SIGCONT)
            self.signal(signal.SIGTERM)
        try:
            status = self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        text = (self.folder / "errors").read_text(errors="replace")
        if "Sanitizer" in text or "runtime error" in text:
            raise AssertionError(text)
        return status

    def records(self, count=None):
        """All records so far; with `count`, once there are that many."""
        def read():
            if not self.records_file.exists():
                return []
            lines = self.records_file.read_text().splitlines(keepends=True)
            return [json.loads(line) for line in lines if line.endswith("\n")]

        if count is not None:
            wait_until(lambda: len(read()) >= count, f"{count} records, there are {len(read())}")
        return read()
