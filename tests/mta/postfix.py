"""A private, throw-away Postfix on a loopback port. Needs root and the postfix package; touches no system instance."""

import os
import pathlib
import pwd
import shutil
import subprocess
import tempfile
import time

from daemon import end_group, listens, must_be_free, wait_until

MAIN = """
compatibility_level = 3.6
queue_directory = {dir}/queue
data_directory = {dir}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file = {dir}/mail.log
maillog_file_prefixes = {dir}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mx.example.test
mydestination = local.test
mynetworks = 127.0.0.1/32
relay_domains = relay.test
alias_maps =
alias_database =
local_recipient_maps = regexp:{dir}/known
smtpd_relay_restrictions = permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination
smtpd_recipient_restrictions =
smtpd_authorized_xclient_hosts = 127.0.0.0/8
smtpd_client_connection_count_limit = 0
smtpd_error_sleep_time = 0
smtpd_hard_error_limit = 1000
milter_default_action = tempfail
disable_dns_lookups = yes
smtpd_peername_lookup = no
notify_classes =
smtputf8_enable = yes
"""

MASTER = """
127.0.0.1:{port} inet n - n - 250 smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
smtp unix - - n - - discard
relay unix - - n - - discard
local unix - - n - - discard
virtual unix - - n - - discard
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""

# As MAIN names them.
OWNERS = {"$mail_owner": "postfix", "$setgid_group": "postdrop"}


def merged(*texts):
    """One main.cf of several, the last setting of a name alone: Postfix's log service may choke on its own warnings
    about settings that are overridden."""
    settings = {}
    name = None
    for line in "\n".join(texts).splitlines():
        if line[:1].isspace() and name:
            settings[name] += "\n" + line
        elif "=" in line:
            name, value = (part.strip() for part in line.split("=", 1))
            settings[name] = value
    return "".join(f"{name} = {value}\n" for name, value in settings.items())


class Postfix:
    """Domains: local.test is local, relay.test relayed, all else foreign; nobody@local.test does not exist.

    127.0.0.1 may relay; other addresses of 127/8 are strangers. `settings` go into main.cf last.
    With `users`, {"name": "password"}, AUTH PLAIN is offered.
    """

    def __init__(self, milter=None, port=2625, settings="", users=None):
        self.port = port
        must_be_free(port)
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="replygate-postfix."))
        self.dir.chmod(0o755)
        self.etc = self.dir / "etc"
        for name in ("etc", "queue", "data"):
            (self.dir / name).mkdir()
        os.chown(self.dir / "data", pwd.getpwnam("postfix").pw_uid, -1)
        (self.dir / "known").write_text("if !/^nobody@local\\.test$/\n/./ yes\nendif\n")
        main = MAIN.format(dir=self.dir)
        if milter:
            main += f"smtpd_milters = {milter}\n"
        if users:
            main += self.sasl(users)
        (self.etc / "main.cf").write_text(merged(main, settings))
        (self.etc / "master.cf").write_text(MASTER.format(port=port))
        self.settle()
        self.make_queue()
        self.control("start")
        wait_until(lambda: listens(port), "Postfix to listen")

    def make_queue(self):
        """Makes the folders that "postfix start" would else make, and tells it not to check them, which takes seconds."""
        meta = subprocess.run(
            ["postconf", "-c", self.etc, "-hx", "meta_directory"], capture_output=True, text=True, check=True
        ).stdout.strip()
        for line in pathlib.Path(meta, "postfix-files").read_text().splitlines():
            if not line.startswith("$queue_directory/") or line.split(":")[1] != "d":
                continue
            path, _, owner, group, mode = line.split(":")[:5]
            folder = self.dir / path.replace("$queue_directory", "queue")
            folder.mkdir()
            folder.chmod(int(mode, 8))
            shutil.chown(folder, OWNERS.get(owner, "root"), OWNERS.get(group, "root"))
        (self.dir / "queue/quick-start").touch()

    def sasl(self, users):
        folder = self.etc / "sasl"
        folder.mkdir()
        database = folder / "sasldb2"
        (folder / "smtpd.conf").write_text(
            f"pwcheck_method: auxprop\nauxprop_plugin: sasldb\nmech_list: PLAIN\nsasldb_path: {database}\n"
        )
        for name, password in users.items():
            subprocess.run(
                ["saslpasswd2", "-f", database, "-p", "-c", "-u", "local.test", name],
                input=password.encode(), check=True, capture_output=True,
            )
        os.chown(database, pwd.getpwnam("postfix").pw_uid, -1)
        return (
            "smtpd_sasl_auth_enable = yes\nsmtpd_sasl_path = smtpd\nsmtpd_sasl_local_domain = local.test\n"
            f"cyrus_sasl_config_path = {folder}\n"
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def control(self, command):
        run = subprocess.run(["postfix", "-c", self.etc, command], capture_output=True, text=True)
        if run.returncode != 0:
            raise RuntimeError(run.stderr + self.log())

    def settle(self):
        """Everything that reads a main.cf changed just now waits up to two seconds, lest it is still being written."""
        long_ago = time.time() - 60
        os.utime(self.etc / "main.cf", (long_ago, long_ago))

    def edit(self, **settings):
        """Changes main.cf; the running Postfix does not hear of it."""
        changes = [f"{name}={value}" for name, value in settings.items()]
        subprocess.run(["postconf", "-c", self.etc, "-e", *changes], check=True)
        self.settle()

    def set(self, **settings):
        self.edit(**settings)
        self.reload()

    def reload(self):
        """Whoever has the old settings is gone when it returns: he could still take the next connection."""
        self.settle()
        before = self.processes()
        self.control("reload")
        wait_until(lambda: not before & self.processes(), "what has the old settings to end")

    def processes(self):
        """What the master has started: queue manager, servers, look-ups."""
        master = (self.dir / "queue/pid/master.pid").read_text().split()[0]
        return set(subprocess.run(["pgrep", "-P", master], capture_output=True, text=True).stdout.split())

    def sendmail(self, sender, recipients, text="Subject: x\n\nx\n"):
        """Local submission, as a web application does."""
        subprocess.run(
            ["sendmail", "-C", self.etc, "-f", sender, *recipients], input=text, text=True, check=True
        )

    def queue(self):
        """Names of the queue files."""
        folders = (self.dir / "queue" / name for name in ("incoming", "active", "deferred", "hold"))
        return [path.name for folder in folders if folder.exists() for path in folder.rglob("*") if path.is_file()]

    def held(self):
        """Envelope and content of what is in the hold queue."""
        return [
            subprocess.run(["postcat", "-c", self.etc, "-q", path.name], capture_output=True, text=True, check=True).stdout
            for path in (self.dir / "queue/hold").iterdir()
        ]

    def log(self):
        path = self.dir / "mail.log"
        return path.read_text() if path.exists() else ""

    def stop(self):
        pid = self.dir / "queue/pid/master.pid"
        if pid.exists():
            end_group(int(pid.read_text()), "Postfix")
        shutil.rmtree(self.dir, ignore_errors=True)
