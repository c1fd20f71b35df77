"""Setup on a real Postfix: what it changes, keeps and takes back; and what doctor says of the host around it."""

import contextlib
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import unittest

import alone
import mta_test
from daemon import BINARY
from doctor_host import MILTER, POLICIES, SERVICE, Host, ServedDaemon, State

OURS = f"inet:127.0.0.1:{MILTER}"
KEPT = ".before-replygate"


class Setting(unittest.TestCase):
    """A host with a Postfix, and who asks setup."""

    def setUp(self):
        self.daemon = self.enterContext(ServedDaemon(POLICIES["plain"], port=MILTER))
        self.host = self.enterContext(Host(self.daemon))
        self.host.lay(State("good"))

    def setup(self, *more, policy=None):
        words = [BINARY, "setup", "postfix", "-c", str(policy or self.daemon.policy_file), "--folder", str(self.host.etc)]
        run = subprocess.run([*words, *more], capture_output=True, text=True)
        if (self.host.etc / "main.cf").exists():
            self.host.settle()
        return run

    def value(self, name):
        words = ["postconf", "-c", self.host.etc, "-h", name]
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()

    def listen_elsewhere(self, address):
        """A policy file that names another address; no daemon is there."""
        path = self.daemon.folder / "elsewhere.toml"
        path.write_text(self.daemon.policy_file.read_text().replace(f"inet:{MILTER}@127.0.0.1", address))
        return path


class Postfix(Setting):
    def test_a_dry_run_changes_nothing(self):
        self.host.edit(smtpd_milters="")
        before = (self.host.etc / "main.cf").read_text()
        said = self.setup()
        self.assertEqual(said.returncode, 1)
        self.assertIn(f"+smtpd_milters = {OURS}", said.stdout)
        self.assertEqual((self.host.etc / "main.cf").read_text(), before)

    def test_it_says_what_it_did_and_keeps_the_old_file(self):
        self.host.edit(smtpd_milters="")
        main = self.host.etc / "main.cf"
        os.chown(main, 0, 65534)
        main.chmod(0o640)
        before = main.read_text()
        said = self.setup("--apply")
        self.assertEqual(said.returncode, 0, said.stderr)
        for words in (f"is kept as {main}{KEPT}", f"{main} is changed", "Postfix is reloaded"):
            self.assertIn(words, said.stderr)
        kept = pathlib.Path(f"{main}{KEPT}")
        self.assertEqual(kept.read_text(), before)
        self.assertEqual((kept.stat().st_gid, kept.stat().st_mode & 0o777), (65534, 0o640))
        self.assertIn("as the policy needs it", self.setup().stdout)

    def test_a_new_address_takes_the_place_of_the_old_one(self):
        self.host.edit(smtpd_milters=f"{{ {OURS}, connect_timeout=5s }}")
        self.setup("--apply")  # it remembers where we listen
        elsewhere = self.listen_elsewhere(f"unix:{self.daemon.folder}/milter.sock")
        said = self.setup("--apply", policy=elsewhere)
        self.assertEqual(said.returncode, 0, said.stderr)
        self.assertEqual(self.value("smtpd_milters"),
                         f"{{ unix:{self.daemon.folder}/milter.sock, connect_timeout=5s }}")
        self.assertEqual(self.value("non_smtpd_milters"), f"unix:{self.daemon.folder}/milter.sock")

    def test_a_socket_outside_of_the_chroot_is_no_success(self):
        master = self.host.etc / "master.cf"
        master.write_text(master.read_text().replace("inet n - n", "inet n - y"))
        for more in ((), ("--apply",)):
            said = self.setup(*more, policy=self.listen_elsewhere("unix:/run/replygate/milter.sock"))
            self.assertEqual(said.returncode, 1)
            self.assertIn("cannot see the socket /run/replygate/milter.sock", said.stdout)
            self.assertNotIn("as the policy needs it", said.stdout)

    def test_a_socket_inside_of_the_chroot_is_named_from_there(self):
        master = self.host.etc / "master.cf"
        master.write_text(master.read_text().replace("inet n - n", "inet n - y"))
        inside = self.listen_elsewhere(f"unix:{self.host.dir}/queue/replygate/milter.sock")
        self.host.edit(smtpd_milters="inet:127.0.0.1:8891")
        self.assertEqual(self.setup("--apply", policy=inside).returncode, 0)
        self.assertEqual(self.value("smtpd_milters"), "unix:replygate/milter.sock")

    def test_removal_leaves_what_is_not_ours(self):
        door = f"check_policy_service {{ inet:127.0.0.1:{SERVICE}, default_action=DUNNO }}"
        self.host.lay(State("all of us", policy="door alone", master=[f"0.0.0.0:2626/inet/smtpd_milters={OURS}"]))
        self.host.edit(smtpd_milters=f"inet:127.0.0.1:8896, {OURS}",
                       smtpd_relay_restrictions=f"permit_mynetworks, {door}, reject_unauth_destination")
        self.assertEqual(self.setup("--remove").returncode, 1)
        said = self.setup("--remove", "--apply")
        self.assertEqual(said.returncode, 0, said.stderr)
        self.assertIn("no longer asks replygate", said.stderr)
        self.assertEqual(self.value("smtpd_milters"), "inet:127.0.0.1:8896")
        self.assertEqual(self.value("non_smtpd_milters"), "")
        self.assertEqual(self.value("smtpd_relay_restrictions"), "permit_mynetworks, reject_unauth_destination")
        self.assertNotIn(OURS, (self.host.etc / "master.cf").read_text())
        self.assertFalse((self.host.etc / "main.cf.replygate").exists())
        self.assertIn("does not ask replygate", self.setup("--remove").stdout)

    def test_removal_needs_no_policy(self):
        self.setup("--apply")
        gone = self.daemon.folder / "gone.toml"
        self.assertEqual(self.setup("--apply", policy=gone).returncode, 66)
        self.assertEqual(self.setup("--remove", "--apply", policy=gone).returncode, 0)
        self.assertEqual(self.value("smtpd_milters"), "")

    def test_without_settings_it_says_so_in_words(self):
        (self.host.etc / "main.cf").unlink()
        said = self.setup()
        self.assertEqual(said.returncode, 66)
        self.assertIn("Postfix cannot be asked", said.stderr)
        self.assertNotIn("fatal", said.stderr)


SENDMAIL = "OSTYPE(`debian')dnl\nINPUT_MAIL_FILTER(`spam', `S=inet:8896@127.0.0.1')dnl\nMAILER(`local')dnl\n"


class Sendmail(unittest.TestCase):
    """Its source alone: no sendmail.cf is built where --folder names it."""

    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.source = self.folder / "sendmail.mc"
        self.source.write_text(SENDMAIL)
        self.source.chmod(0o640)
        os.chown(self.source, 0, 65534)
        self.policy("quota")

    def policy(self, name):
        (self.folder / "policy.toml").write_text("version = 1\n" + POLICIES[name])

    def setup(self, *more):
        words = [BINARY, "setup", "sendmail", "-c", self.folder / "policy.toml", "--folder", self.folder, *more]
        return subprocess.run(words, capture_output=True, text=True)

    def test_the_source_is_replaced_as_a_whole_and_the_old_one_kept(self):
        before = self.source.stat().st_ino
        said = self.setup("--apply")
        self.assertEqual(said.returncode, 0, said.stderr)
        kept = self.folder / f"sendmail.mc{KEPT}"
        self.assertIn(f"is kept as {kept}", said.stderr)
        self.assertEqual(kept.read_text(), SENDMAIL)
        self.assertNotEqual(self.source.stat().st_ino, before)
        for path in (self.source, kept):
            self.assertEqual((path.stat().st_mode & 0o777, path.stat().st_gid), (0o640, 65534))
        self.assertIn("as the policy needs it", self.setup().stdout)

    def test_it_goes_where_the_rules_need_it(self):
        self.setup("--apply")
        self.assertLess(self.source.read_text().find("spam"), self.source.read_text().find("replygate"))
        self.setup("--remove", "--apply")
        self.assertEqual(self.source.read_text(), SENDMAIL)
        self.policy("harvest")
        self.setup("--apply")
        self.assertLess(self.source.read_text().find("replygate"), self.source.read_text().find("spam"))

    def test_a_link_stays_one(self):
        real = self.folder / "real.mc"
        self.source.rename(real)
        self.source.symlink_to(real)
        self.assertEqual(self.setup("--apply").returncode, 0)
        self.assertTrue(self.source.is_symlink())
        self.assertIn("replygate", real.read_text())


class Around(Setting):
    """What doctor says of the rest of the host."""

    def doctor(self, *more, subject=None):
        found = self.host.doctor(*more)
        return [f for f in found if f["level"] != "ok" and subject in (None, f["subject"])]

    def write(self, text):
        self.daemon.policy_file.write_text(text)

    def test_a_policy_that_is_broken_or_gone_hides_nothing(self):
        text = self.daemon.policy_file.read_text()
        self.host.edit(receive_override_options="no_milters")
        broken = text + '[[rule]]\nname = "x"\nreply = 250\n'
        for policy, words in ((broken, "250"), (text.replace("[[rule]]", "[[rule"), "")):
            self.write(policy)
            found = self.doctor()
            self.assertTrue(any(f["subject"] == "policy" and words in f["what"] for f in found), found)
            self.assertTrue(any("no filter is asked" in f["what"] for f in found), found)
            self.assertFalse(any("does not name" in f["what"] for f in found), found)
        self.daemon.policy_file.unlink()
        found = self.doctor()
        self.assertTrue(any(f["subject"] == "policy" for f in found))
        self.assertTrue(any("no filter is asked" in f["what"] for f in found), found)
        self.write(text)

    def test_no_main_cf(self):
        (self.host.etc / "main.cf").unlink()
        words = [BINARY, "doctor", "-c", str(self.daemon.policy_file), "--postfix", str(self.host.etc)]
        said = subprocess.run(words, capture_output=True, text=True)
        self.assertIn("its settings cannot be read", said.stdout)
        self.assertNotIn("fatal", said.stdout + said.stderr)

    def test_a_port_that_is_taken(self):
        self.daemon.stop()
        with socket.create_server(("127.0.0.1", MILTER)):
            found = self.doctor(subject="daemon")
        self.assertIn(f"inet:{MILTER}@127.0.0.1 is held by python3", found[0]["what"])
        self.assertIn(f"process {os.getpid()}", found[0]["what"])
        self.assertIn("is the daemon running?", self.doctor(subject="daemon")[0]["what"])

    def test_a_control_socket_that_one_may_not_open(self):
        self.daemon.folder.chmod(0o755)
        words = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", BINARY, "doctor", "-c",
                 str(self.daemon.policy_file), "--postfix", str(self.host.etc), "--socket",
                 f"{self.daemon.folder}/control.sock"]
        said = subprocess.run(words, capture_output=True, text=True).stdout
        self.assertIn("you may not open it", said)
        self.assertIn("fix: run doctor as root", said)
        self.assertNotIn("systemctl start replygate", said)

    def with_user(self):
        """The user that the package makes, and postfix in no group of his."""
        for name, line in (("passwd", "replygate:x:8891:8891::/nonexistent:/bin/false"), ("group", "replygate:x:8891:")):
            path = pathlib.Path("/etc", name)
            lines = [one for one in path.read_text().splitlines() if not one.startswith("replygate:")]
            alone.replace(path, "\n".join([*lines, line]) + "\n")

    def mend(self, findings):
        for finding in findings:
            subprocess.run(finding["mend"], shell=True, check=True)

    def test_what_root_has_left_in_the_store_is_found_and_mended(self):
        self.with_user()
        store = self.daemon.folder / "replygate"
        self.write(self.daemon.policy_file.read_text().replace(f'{self.daemon.folder}/state.db', f"{store}/state.db"))
        self.assertIn("there is no such folder", self.doctor(subject="store")[0]["what"])
        self.mend(self.doctor(subject="store"))
        self.assertEqual(self.doctor(subject="store"), [])
        for name in ("state.db", "history/1.db"):
            (store / name).parent.mkdir(exist_ok=True)
            (store / name).touch(mode=0o600)
            self.assertIn("may not write it", self.doctor(subject="store")[0]["what"])
            self.mend(self.doctor(subject="store"))
            self.assertEqual(self.doctor(subject="store"), [])
        shutil.chown(store, "root")
        self.mend(self.doctor(subject="store"))
        self.assertEqual(self.doctor(subject="store"), [])

    def test_the_milter_socket_is_the_mtas_and_the_control_socket_is_not(self):
        self.with_user()
        folder = self.daemon.folder / "replygate"
        self.write(self.daemon.policy_file.read_text().replace(f"inet:{MILTER}@127.0.0.1", f"unix:{folder}/m.sock"))
        self.mend(self.doctor(subject="socket"))
        self.assertEqual((folder.stat().st_mode & 0o7777, folder.group()), (0o2750, "postfix"))
        absent = self.doctor(subject="socket")[0]
        self.assertIn("SocketGroup=postfix", absent["mend"])
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as listening:
            listening.bind(f"{folder}/m.sock")
            listening.listen()
            os.chmod(f"{folder}/m.sock", 0o660)
            os.chown(f"{folder}/m.sock", 8891, 8891)
            found = self.doctor(subject="socket")
            self.assertIn("postfix may not open it", found[0]["what"])
            self.assertNotIn("usermod", found[0]["mend"])
            self.mend(found)
            self.assertEqual(self.doctor(subject="socket"), [])
        group = pathlib.Path("/etc/group").read_text().replace("replygate:x:8891:", "replygate:x:8891:postfix")
        pathlib.Path("/etc/group").write_text(group)
        self.assertIn("may command the daemon", self.doctor(subject="socket")[0]["what"])

    def test_a_log_that_nobody_takes(self):
        text = self.daemon.policy_file.read_text()
        decisions = f'"file:{self.daemon.records_file}"'
        self.assertEqual(self.doctor(subject="log"), [])
        if not pathlib.Path("/run/systemd/journal/socket").exists():
            self.write(text.replace(decisions, '"journal"'))
            self.assertIn("there is no journal", self.doctor(subject="log")[0]["what"])
        if not pathlib.Path("/dev/log").exists():
            self.write(text.replace(decisions, '"syslog"'))
            self.assertIn("there is no syslog", self.doctor(subject="log")[0]["what"])

    def test_a_daemon_that_is_down(self):
        self.daemon.stop()
        self.host.edit(milter_default_action="accept")
        found = self.doctor(subject="postfix")
        self.assertTrue(any("passes it by" in f["what"] for f in found), found)
        self.host.edit(milter_default_action="tempfail")
        found = self.doctor(subject="postfix")
        self.assertTrue(any("is turned away" in f["what"] for f in found), found)


if __name__ == "__main__":
    mta_test.main()
