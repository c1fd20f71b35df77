"""Lists, maps and limits in MariaDB, PostgreSQL, OpenLDAP and behind a socketmap: the examples with real servers, what
Postfix itself finds in the same tables, and servers that hang, die, or say too much."""

import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import time
import unittest

import mta_test
from daemon import BINARY, Daemon, wait_until
from databases import MariaDB, OpenLDAP, PostgreSQL, Socketmap
from postfix import Postfix
from smtp import Client

ROOT = pathlib.Path(__file__).parents[2]
SERVICE = 8894
SERVERS = (MariaDB, PostgreSQL, OpenLDAP)
PORT = 3399


def asks(port, **attributes):
    """What Postfix's policy protocol is answered."""
    lines = {"request": "smtpd_access_policy", "protocol_state": "RCPT", "protocol_name": "ESMTP",
             "client_address": "192.0.2.7", "recipient": "r@x.example", **attributes}
    with socket.create_connection(("127.0.0.1", port), timeout=30) as peer:
        peer.sendall("".join(f"{name}={value}\n" for name, value in lines.items()).encode() + b"\n")
        return peer.makefile().readline().removeprefix("action=").strip()


def example(name, folder, port):
    """An example whose server listens on `port`, without what a daemon of a test has itself."""
    text = (ROOT / f"conf/examples/{name}.toml").read_text()
    text = re.sub(r"^version = 1$|^\[milter\]$|^listen = .*$", "", text, flags=re.M)
    text = re.sub(r"\[\[test\]\].*", "", text, flags=re.S)
    text = text.replace("127.0.0.1:2222", f"127.0.0.1:{port}")
    for table in (ROOT / "conf/examples/tables").iterdir():
        (folder / table.name).write_text(re.sub(r"127\.0\.0\.1:\d+", f"127.0.0.1:{port}", table.read_text()))
    return text.replace("tables/", f"{folder}/")


class Folder(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="replygate-sources."))
        self.addCleanup(shutil.rmtree, self.folder)

    def send(self, mta, user_or_from, *recipients):
        with Client(mta.port) as client:
            client("EHLO client.test")
            client(f"MAIL FROM:<{user_or_from}>")
            return [client(f"RCPT TO:<{recipient}>") for recipient in recipients]


class Examples(Folder):
    def test_panel_in_mysql(self):
        with MariaDB(PORT) as server, Daemon(example("panel-mysql", self.folder, PORT)) as daemon:
            # Quotas are the milter's; a client that XCLIENT gives a login.
            with Postfix(f"inet:127.0.0.1:{daemon.port}", settings="local_recipient_maps =\n") as mta:
                def codes(login, count):
                    with Client(mta.port) as client:
                        client(f"XCLIENT LOGIN={login} ADDR=192.0.2.7")
                        client("EHLO client.test")
                        return client.message(login, [f"r{i}@local.test" for i in range(count)], "Subject: x\r\n\r\ny")

                first = codes("a@shop.example", 3)
                self.assertEqual([reply[:3] for reply in first["rcpt"]], ["250", "250", "452"], first)
                second = codes("b@shop.test", 2)  # another domain of the subscription, of which one is left
                self.assertEqual([reply[:3] for reply in second["rcpt"]], ["250", "452"], second)
            rules = [r["rule"] for record in daemon.records() for r in record["recipients"] if r.get("rule")]
            self.assertEqual(rules, ["mailbox-quota", "subscription-quota"])
            self.assertTrue(server.process.poll() is None)

    def test_panel_in_pgsql(self):
        with PostgreSQL(PORT), Daemon(example("panel-pgsql", self.folder, PORT), service_port=SERVICE):
            refused = asks(SERVICE, sender="carol@example.org", sasl_username="carol", sasl_method="PLAIN")
            self.assertEqual(refused, "554 5.7.1 The account carol is suspended")
            self.assertEqual(asks(SERVICE, sender="d@example.org", sasl_username="dave", sasl_method="PLAIN"), "DUNNO")

    def test_directory_in_ldap(self):
        with OpenLDAP(PORT), Daemon(example("directory-ldap", self.folder, PORT), service_port=SERVICE):
            def writes(user):
                return asks(SERVICE, sender=user, sasl_username=user, sasl_method="PLAIN", recipient="all@example.org")

            self.assertEqual(writes("boss@example.org"), "DUNNO")
            self.assertEqual(writes("carol@example.org"), "554 5.7.1 Only announcers write to all staff")

    def test_blocklist_behind_a_socketmap(self):
        answers = {"blocked spammer@bad.example": "since today"}
        with Socketmap(PORT, answers) as server:
            with Daemon(example("blocklist-socketmap", self.folder, PORT), service_port=SERVICE):
                def sends(sender):
                    return asks(SERVICE, sender=sender, recipient="bob@example.org")

                self.assertEqual(sends("spammer@bad.example")[:9], "554 5.7.1")
                self.assertEqual(sends("other@bad.example"), "DUNNO")
                self.assertEqual([sends("spammer@bad.example")[:3], sends("other@bad.example")], ["554", "DUNNO"])
                self.assertEqual(server.asked.count("blocked spammer@bad.example"), 1)  # both answers are kept
                self.assertEqual(server.asked.count("blocked other@bad.example"), 1)


# Tables as admins write them, and parameters of old.
SQL = {
    "by name": "SELECT value FROM names WHERE name = '%s'",
    "by local part": "SELECT value FROM names WHERE name = '%u'",
    "by domain": "SELECT value FROM names WHERE name = '%d'",
    "by label": "SELECT value FROM names WHERE name = '%1' AND '%2' = 'x'",
    "in capitals": "SELECT value FROM names WHERE name = '%S' OR name = '%U' OR name = '%D'",
    "two columns": "SELECT value, name FROM names WHERE name = '%s'",
    "percent": "SELECT value FROM names WHERE name LIKE '%%' AND name = '%s'",
}
LDAP = {
    "by name": "(mail=%s)",
    "by parts": "(|(mail=%u@%d)(cn=%u))",
    "two attributes": "(mail=%s)",
}
FORMATS = ("", "result_format = [%s]\n", "result_format = %S:%s\n", "domain = x.example, y.example\n")
KEYS = ("bad@x.example", "two@x.example", "none@x.example", "o'hara@x.example", "back\\slash@x.example", "local@x.example",
        "nothing@x.example", "nobody@y.example", "a*b@x.example", "a(b@x.example", "a)(mail=*@x.example", "*@x.example",
        "local@z.test", "x' or '1'='1@x.example")


class AsPostfixFinds(Folder):
    """What `postmap -q` finds, a map finds."""

    def compare(self, server, text):
        table = self.folder / "table.cf"
        table.write_text(text)
        policy = self.folder / "policy.toml"
        policy.write_text(f'version = 1\n[store]\nbackend = "memory"\n[site]\nrelay = "mta"\n[maps]\nm = '
                          f'{{ {server.kind} = "{table}", default = "(none)" }}\n'
                          '[[rule]]\nname = "q"\nper = "m(header.X-Key)"\nlimit = "5 messages / 1h"\nat = "message"\n'
                          'reply = 452\n')
        for key in KEYS:
            theirs = subprocess.run(["postmap", "-c", str(self.folder), "-q", key, f"{server.kind}:{table}"],
                                    capture_output=True, text=True, timeout=60)
            said = [line for line in theirs.stderr.splitlines() if "empty lookup result" not in line]
            self.assertEqual(said, [], (key, text))
            tried = subprocess.run([BINARY, "try", str(policy), "--ask", "--from", "a@b.example", "--to", "c@d.example",
                                    "--header", f"X-Key: {key}"], capture_output=True, text=True, timeout=60)
            ours = re.search(r"^      (.*): 0 used", tried.stdout, re.M)
            self.assertIsNotNone(ours, (key, text, tried.stdout, tried.stderr))
            self.assertEqual(ours[1].replace("\\|", "|"), theirs.stdout.strip().lower() or "(none)", (key, text))
            self.compared += 1

    def setUp(self):
        super().setUp()
        self.compared = 0
        (self.folder / "main.cf").write_text("compatibility_level = 3.6\nmyhostname = mx.example.test\n")

    def sql(self, server_class):
        with server_class(PORT) as server:
            for name, query in SQL.items():
                for form in FORMATS if name == "by name" else FORMATS[:1]:
                    with self.subTest(name, form=form):
                        self.compare(server, server.description(query) + form)
            old = server.description("").replace("query = \n", "")
            with self.subTest("parameters of old"):
                self.compare(server, old + "table = names\nselect_field = value\nwhere_field = name\n"
                             "additional_conditions = AND name <> 'two@x.example'\n")
        self.assertGreater(self.compared, 100)

    def test_mysql(self):
        self.sql(MariaDB)

    def test_pgsql(self):
        self.sql(PostgreSQL)

    def test_ldap(self):
        with OpenLDAP(PORT) as server:
            for name, query in LDAP.items():
                attributes = "departmentNumber mail" if name == "two attributes" else "departmentNumber"
                for form in FORMATS if name == "by name" else FORMATS[:1]:
                    with self.subTest(name, form=form):
                        self.compare(server, server.description(query, attributes) + form)
        self.assertGreater(self.compared, 60)


class Failing(Folder):
    """A source that hangs, dies or says too much is unknown, bounded in time, said, and used again."""

    def policy(self, kind, text, timeout="1s"):
        table = self.folder / "list.cf"
        table.write_text(text)
        return ('[lists]\nblocked = { ' + f'{kind} = "{table}", cache = "1s", timeout = "{timeout}"' + ' }\n'
                '[[rule]]\nname = "blocked"\nwhen = { sender = "$blocked" }\nreply = 550\n')

    def query(self, server):
        return LDAP["by name"] if server.kind == "ldap" else SQL["by name"]

    def says(self, daemon, what):
        wait_until(lambda: what in (daemon.folder / "errors").read_text(), f"it to say {what}")

    def in_time(self, sender, seconds):
        began = time.monotonic()
        answer = asks(SERVICE, sender=sender)[:3]
        self.assertLess(time.monotonic() - began, seconds, sender)
        return answer

    def goes_through(self, server, daemon):
        self.assertEqual(asks(SERVICE, sender="bad@x.example")[:3], "550")
        server.freeze()
        try:
            time.sleep(1.1)  # until nothing is known any more
            self.assertEqual(self.in_time("bad@x.example", 3), "451")
            for i in range(20):  # of which one at a time is waited for
                self.assertEqual(self.in_time(f"a{i}@x.example", 3), "451")
            self.says(daemon, "what it is asked is unknown")
        finally:
            server.thaw()
        self.says(daemon, "in order again")
        wait_until(lambda: asks(SERVICE, sender="bad@x.example")[:3] == "550", "the frozen server to answer again")
        server.end()
        wait_until(lambda: asks(SERVICE, sender="bad@x.example")[:3] == "451", "the dead server to be unknown")
        server.start()
        wait_until(lambda: asks(SERVICE, sender="bad@x.example")[:3] == "550", "the new server to answer")

    def test_servers_that_hang_and_die(self):
        for server_class in SERVERS:
            with self.subTest(server_class.kind), server_class(PORT) as server:
                policy = self.policy(server.kind, server.description(self.query(server)))
                with Daemon(policy, service_port=SERVICE) as daemon:
                    self.goes_through(server, daemon)

    def test_a_query_that_takes_its_time(self):
        for server_class in (MariaDB, PostgreSQL):
            with self.subTest(server_class.kind), server_class(PORT) as server:
                policy = self.policy(server.kind, server.description(server.slow), "500ms")
                with Daemon(policy, service_port=SERVICE) as daemon:
                    self.assertEqual(self.in_time("bad@x.example", 3), "451")
                    self.says(daemon, "no answer in time")

    def test_a_million_rows(self):
        for server_class in (MariaDB, PostgreSQL):
            with self.subTest(server_class.kind), server_class(PORT) as server:
                policy = self.policy(server.kind, server.description(server.many), "5s")
                with Daemon(policy, service_port=SERVICE) as daemon:
                    self.assertEqual(self.in_time("bad@x.example", 5), "451")
                    self.says(daemon, "more values than")
                    memory = int(re.search(r"VmHWM:\s+(\d+) kB", pathlib.Path(
                        f"/proc/{daemon.process.pid}/status").read_text())[1])
                    self.assertLess(memory, 200_000)

    def test_a_directory_with_too_many(self):
        with OpenLDAP(PORT) as server:
            server.add([server.person(f"p{i}", [f"p{i}@x.example"], "many") for i in range(1500)])
            policy = self.policy("ldap", server.description("(|(mail=%s)(departmentNumber=many))"), "10s")
            with Daemon(policy, service_port=SERVICE) as daemon:
                self.assertEqual(self.in_time("bad@x.example", 10), "451")
                self.says(daemon, "more values than")

    def test_a_wrong_password(self):
        for server_class in (MariaDB, OpenLDAP):  # PostgreSQL trusts everybody here
            with self.subTest(server_class.kind), server_class(PORT) as server:
                text = server.description(self.query(server)).replace("= secret", "= wrong")
                with Daemon(self.policy(server.kind, text), service_port=SERVICE) as daemon:
                    self.assertEqual(asks(SERVICE, sender="bad@x.example")[:3], "451")
                    self.says(daemon, "what it is asked is unknown")
                    # The description is read again: no reload is needed for another password.
                    (self.folder / "list.cf").write_text(text.replace("= wrong", "= secret"))
                    wait_until(lambda: asks(SERVICE, sender="bad@x.example")[:3] == "550", "the right password to do")

    def test_a_query_that_is_wrong(self):
        for server_class in (MariaDB, PostgreSQL):
            with self.subTest(server_class.kind), server_class(PORT) as server:
                policy = self.policy(server.kind, server.description("SELECT nonsense FROM names WHERE name = '%s'"))
                with Daemon(policy, service_port=SERVICE) as daemon:
                    self.assertEqual(asks(SERVICE, sender="bad@x.example")[:3], "451")
                    self.says(daemon, "nonsense")

    def test_a_socketmap_that_is_silent_keeps_no_other_session(self):
        policy = (f'[lists]\nblocked = {{ socketmap = "inet:127.0.0.1:{PORT}:m", timeout = "10s" }}\n'
                  '[[rule]]\nname = "blocked"\nwhen = { sender = "$blocked" }\nreply = 550\n')
        with Socketmap(PORT, {}) as server, Daemon(policy, service_port=SERVICE):
            server.silent.set()
            waiting = [socket.create_connection(("127.0.0.1", SERVICE), timeout=30) for _ in range(50)]
            for i, peer in enumerate(waiting):
                peer.sendall(f"request=smtpd_access_policy\nprotocol_state=RCPT\nprotocol_name=ESMTP\nsender=a{i}@b.test\n"
                             "client_address=192.0.2.7\nrecipient=r@x.example\n\n".encode())
            began = time.monotonic()
            self.assertEqual(asks(SERVICE, sender=""), "DUNNO")  # asks nothing, and is answered
            self.assertLess(time.monotonic() - began, 5)
            for peer in waiting:
                peer.close()


if __name__ == "__main__":
    mta_test.main()
