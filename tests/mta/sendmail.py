"""A private, throw-away Sendmail on a loopback port, beside an installed Postfix.

The packages are downloaded and unpacked below a cache folder, never installed, since they conflict with postfix.
Needs root, apt-get and m4. The daemon runs where alone.py has been, since there the host has a full name (without one
Sendmail sleeps for a minute) and /etc/hosts knows 127.0.0.1 alone. `sendmail.py --fetch` downloads it and no more.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import alone
import debs
from daemon import end_group, listens, must_be_free, wait_until

CACHE = pathlib.Path(os.environ.get("REPLYGATE_SENDMAIL_CACHE", "/var/cache/replygate-tests/sendmail"))
ROOT = CACHE / "root"
BINARY = ROOT / "usr/libexec/sendmail/sendmail"
CF = ROOT / "usr/share/sendmail/cf"


def fetch():
    """Downloads and unpacks Sendmail once, and installs the libraries that it is linked with. One process at a time."""
    with debs.alone_at(CACHE):
        if not is_there():
            debs.unpack(CACHE, ["sendmail-bin", "sendmail-base", "sendmail-cf"])
            BINARY.chmod(0o755)
        debs.install_libraries(CACHE, "sendmail-bin", BINARY)


def is_there():
    return BINARY.exists() and (CF / "m4/cf.m4").exists()


class Sendmail:
    """Domains as for Postfix. `extra` goes into the m4 source."""

    def __init__(self, milter=None, port=2626, extra="", timeouts="C:30s;S:10s;R:10s;E:1m",
                 hosts="127.0.0.1 localhost\n"):
        if not alone.inside:
            raise RuntimeError("call alone.alone() first: Sendmail needs a host name and a hosts file of its own")
        alone.HOSTS.write_text(hosts)
        self.port = port
        must_be_free(port)
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="replygate-sendmail."))
        self.dir.chmod(0o755)
        for name, mode in (("queue", 0o700), ("run", 0o755)):
            (self.dir / name).mkdir()
            (self.dir / name).chmod(mode)
        (self.dir / "aliases").write_text("")
        (self.dir / "switch").write_text("hosts files\naliases files\n")
        (self.dir / "unknown").write_text("")
        self.write_config(milter, extra, timeouts)
        self.run("-bi")
        self.run("-bd")
        wait_until(lambda: listens(port), "Sendmail to listen")

    def write_config(self, milter, extra, timeouts):
        def define(name, value):
            return f"define(`{name}', `{value}')dnl"

        lines = [
            "divert(-1)dnl", define("_CF_DIR_", f"{CF}/"), f"include(`{CF}/m4/cf.m4')dnl", "divert(0)dnl",
            "VERSIONID(`test')dnl", "OSTYPE(`linux')dnl",
            define("confDOMAIN_NAME", "mx.example.test"), define("ALIAS_FILE", f"{self.dir}/aliases"),
            define("QUEUE_DIR", f"{self.dir}/queue"), define("confPID_FILE", f"{self.dir}/run/pid"),
            define("STATUS_FILE", f"{self.dir}/run/statistics"), define("HELP_FILE", "/dev/null"),
            define("confSERVICE_SWITCH_FILE", f"{self.dir}/switch"), define("confTO_IDENT", "0"),
            define("confDELIVERY_MODE", "queueonly"), define("confREFUSE_LA", "10000"),
            define("confQUEUE_LA", "10000"), define("confBAD_RCPT_THROTTLE", "0"),
            define("confDONT_BLAME_SENDMAIL", "GroupWritableDirPathSafe,TrustStickyBit"),
            define("LOCAL_MAILER_PATH", "/bin/true"),
            "FEATURE(`no_default_msa')dnl", "FEATURE(`accept_unresolvable_domains')dnl",
            "FEATURE(`accept_unqualified_senders')dnl", "FEATURE(`nocanonify')dnl",
            "LOCAL_DOMAIN(`local.test')dnl", "RELAY_DOMAIN(`relay.test')dnl", "MODIFY_MAILER_FLAGS(`LOCAL', `-w')dnl",
            f"DAEMON_OPTIONS(`Name=MTA, Family=inet, Addr=127.0.0.1, Port={self.port}')dnl",
        ]
        if milter:
            lines.append(f"INPUT_MAIL_FILTER(`replygate', `S={milter}, F=T, T={timeouts}')dnl")
        lines += [extra, "MAILER(`local')dnl", "MAILER(`smtp')dnl"]
        (self.dir / "sendmail.mc").write_text("\n".join(lines) + "\n")
        made = subprocess.run(["m4", self.dir / "sendmail.mc"], capture_output=True, text=True, check=True)
        (self.dir / "sendmail.cf").write_text(made.stdout)

    def run(self, *arguments):
        run = subprocess.run([BINARY, "-C", self.dir / "sendmail.cf", *arguments], capture_output=True, text=True)
        if run.returncode != 0:
            raise RuntimeError(run.stdout + run.stderr)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def queue(self):
        """Names of the queue files, held ones included."""
        return [path.name for path in (self.dir / "queue").iterdir() if path.name[:2] in ("qf", "hf")]

    def held(self):
        """Envelope and headers of what is in quarantine."""
        return [path.read_text(errors="replace") for path in (self.dir / "queue").glob("hf*")]

    def stop(self):
        pid = self.dir / "run/pid"
        if pid.exists():
            end_group(int(pid.read_text().split()[0]), "Sendmail")
        shutil.rmtree(self.dir, ignore_errors=True)


if __name__ == "__main__":
    if sys.argv[1:] != ["--fetch"]:
        sys.exit("usage: sendmail.py --fetch")
    if os.geteuid() != 0:
        print("skipped: needs root", file=sys.stderr)
        sys.exit(alone.SKIPPED)
    fetch()
