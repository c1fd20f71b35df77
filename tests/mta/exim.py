"""A private, throw-away Exim that sends, beside an installed Postfix.

The packages are downloaded and unpacked below a cache folder, never installed, since they conflict with postfix. Needs
root and apt-get, and runs where alone.py has been: the user that Exim asks for exists in that place alone.
`exim.py --fetch` downloads it and no more.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import alone
import debs

CACHE = pathlib.Path(os.environ.get("REPLYGATE_EXIM_CACHE", "/var/cache/replygate-tests/exim"))
ROOT = CACHE / "root"
BINARY = ROOT / "usr/sbin/exim4"
USER = "Debian-exim:x:{id}:"
ID = 64999

CONFIG = """
exim_path = {binary}
exim_user = {id}
exim_group = {id}
primary_hostname = mx.example.test
spool_directory = {dir}/spool
log_file_path = {dir}/log-%s
keep_environment =
add_environment = PATH=/usr/bin:/bin
untrusted_set_sender = *
local_from_check = false
qualify_domain = local.test
host_lookup =
never_users =
begin routers
away:
  driver = manualroute
  domains = *
  transport = remote
  route_data = 127.0.0.1
  self = send
  host_find_failed = defer
begin transports
remote:
  driver = smtp
  port = {port}
  hosts_try_chunking =
  hosts_avoid_tls = *
  allow_localhost
begin retry
*  *  F,1h,1h
"""


def fetch():
    """Downloads and unpacks Exim once, and installs the libraries that it is linked with. One process at a time."""
    with debs.alone_at(CACHE):
        if not BINARY.exists():
            debs.unpack(CACHE, ["exim4-daemon-light"])
            BINARY.chmod(0o755)
        debs.install_libraries(CACHE, "exim4-daemon-light", BINARY)


class Exim:
    """Sends everything to a server at `port`, within the call."""

    def __init__(self, port):
        if not alone.inside:
            raise RuntimeError("call alone.alone() first: Exim needs a user that the system lacks")
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="replygate-exim."))
        self.dir.chmod(0o755)
        self.add_user()
        (self.dir / "spool").mkdir()
        os.chown(self.dir / "spool", ID, ID)
        os.chown(self.dir, ID, ID)
        (self.dir / "exim.conf").write_text(CONFIG.format(id=ID, dir=self.dir, port=port, binary=BINARY))

    def add_user(self):
        for name, line in (("passwd", USER.format(id=ID) + f"{ID}::/:/bin/false"), ("group", USER.format(id=ID))):
            known = pathlib.Path("/etc", name).read_text()
            if "Debian-exim:" in known:
                continue
            path = self.dir / name
            path.write_text(known + line + "\n")
            path.chmod(0o644)
            alone.mount(path, f"/etc/{name}", flags=alone.BIND)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for name in ("passwd", "group"):
            subprocess.run(["umount", f"/etc/{name}"], capture_output=True)
        shutil.rmtree(self.dir, ignore_errors=True)

    def send(self, sender, recipients, text="Subject: x\n\nx\n"):
        command = [BINARY, "-C", self.dir / "exim.conf", "-odi", "-oi", "-f", sender, *recipients]
        run = subprocess.run(command, input=text, text=True, capture_output=True)
        if run.returncode not in (0, 2):
            raise RuntimeError(run.stdout + run.stderr)

    def log(self):
        return "".join(path.read_text() for path in sorted(self.dir.glob("log-*")))


if __name__ == "__main__":
    if sys.argv[1:] != ["--fetch"]:
        sys.exit("exim.py --fetch")
    fetch()
