"""Private MariaDB, PostgreSQL and OpenLDAP, and a socketmap server that a test tells what to answer."""

import contextlib
import glob
import os
import pathlib
import shutil
import signal
import socketserver
import subprocess
import tempfile
import threading

from daemon import listens, must_be_free, wait_until


def run(*command, **more):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **more)


class Server:
    """A process that listens on a port, in a folder of its own."""

    def __init__(self, port):
        must_be_free(port)
        self.port = port
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="replygate-db."))
        self.folder.chmod(0o755)
        self.process = None

    def __enter__(self):
        try:
            self.prepare()
            self.start()
            self.fill()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.process:
            self.end()
        shutil.rmtree(self.folder)

    def start(self):
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(self.command(), stdout=log, stderr=log, user=self.user())
        wait_until(lambda: self.process.poll() is not None or self.ready(), "the server to listen", 60)
        if self.process.poll() is not None:
            raise RuntimeError((self.folder / "log").read_text(errors="replace"))

    def ready(self):
        return listens(self.port)

    def user(self):
        return None

    def end(self):
        self.process.send_signal(signal.SIGCONT)
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)


class MariaDB(Server):
    kind = "mysql"

    def prepare(self):
        run("mariadb-install-db", "--no-defaults", "--user=root", f"--datadir={self.folder}/data", "--skip-test-db",
            "--auth-root-authentication-method=normal")

    def command(self):
        return ["mariadbd", "--no-defaults", "--user=root", f"--datadir={self.folder}/data", f"--port={self.port}",
                "--bind-address=127.0.0.1", f"--socket={self.folder}/socket", f"--pid-file={self.folder}/pid",
                "--innodb-buffer-pool-size=8M", "--innodb-flush-log-at-trx-commit=0"]

    def sql(self, text):
        run("mariadb", "--no-defaults", "-uroot", f"--socket={self.folder}/socket", input=text.encode())

    def fill(self):
        self.sql("CREATE DATABASE panel; USE panel; CREATE USER replygate@'%' IDENTIFIED BY 'secret';"
                 "GRANT SELECT ON *.* TO replygate@'%';" + TABLES)

    def description(self, query):
        return (f"hosts = 127.0.0.1:{self.port}\nuser = replygate\npassword = secret\ndbname = panel\nquery = {query}\n")

    many = "SELECT seq FROM seq_1_to_1000000 WHERE '%s' <> ''"
    slow = "SELECT SLEEP(30) WHERE '%s' <> ''"


class PostgreSQL(Server):
    kind = "pgsql"
    programs = (sorted(glob.glob("/usr/lib/postgresql/*/bin")) or [""])[-1]

    def user(self):
        return "postgres"

    def prepare(self):
        shutil.chown(self.folder, "postgres")
        run(f"{self.programs}/initdb", "-D", f"{self.folder}/data", "-A", "trust", "-N", user="postgres", cwd="/")

    def command(self):
        return [f"{self.programs}/postgres", "-D", f"{self.folder}/data", "-p", str(self.port), "-k", str(self.folder),
                "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]

    def ready(self):
        asked = subprocess.run([f"{self.programs}/pg_isready", "-h", "127.0.0.1", "-p", str(self.port)],
                               stdout=subprocess.DEVNULL)
        return asked.returncode == 0

    def freeze(self):
        self.signal_all(signal.SIGSTOP)

    def thaw(self):
        self.signal_all(signal.SIGCONT)

    def signal_all(self, number):
        for process in self.all():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, number)

    def all(self):
        """Who serves a connection is a process of its own."""
        children = subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True).stdout.split()
        return [self.process.pid, *map(int, children)]

    def end(self):
        self.signal_all(signal.SIGKILL)
        self.process.wait()
        wait_until(lambda: not listens(self.port), "PostgreSQL to end")

    def sql(self, text, database="panel"):
        run(f"{self.programs}/psql", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres",
            database, input=text.encode())

    def fill(self):
        self.sql("CREATE DATABASE panel ENCODING 'UTF8' TEMPLATE template0", "postgres")
        self.sql("CREATE USER replygate PASSWORD 'secret';" + TABLES +
                 "GRANT SELECT ON ALL TABLES IN SCHEMA public TO replygate;")

    def description(self, query):
        return (f"hosts = 127.0.0.1:{self.port}\nuser = replygate\npassword = secret\ndbname = panel\nquery = {query}\n")

    many = "SELECT generate_series(1, 1000000) WHERE '%s' <> ''"
    slow = "SELECT pg_sleep(30) WHERE '%s' <> ''"


TABLES = """
CREATE TABLE names (name VARCHAR(200), value VARCHAR(200));
INSERT INTO names VALUES ('bad@x.example', 'listed'), ('two@x.example', 'a'), ('two@x.example', 'b'),
  ('o''hara@x.example', 'quoted'), ('back\\slash@x.example', 'back'), ('local', 'of the local part'),
  ('x.example', 'of the domain'), ('example', 'of the label'), ('nothing@x.example', NULL);
CREATE TABLE limits (name VARCHAR(200), quota VARCHAR(200));
INSERT INTO limits VALUES ('sub-17', '3 recipients / 1h'), ('a@shop.example', '2 recipients / 1h'), ('odd', 'a lot');
CREATE TABLE domains (name VARCHAR(200), subscription VARCHAR(200));
INSERT INTO domains VALUES ('shop.example', 'Sub-17'), ('shop.test', 'sub-17');
CREATE TABLE accounts (login VARCHAR(200), active BOOLEAN);
INSERT INTO accounts VALUES ('carol', FALSE), ('dave', TRUE);
CREATE TABLE aliases (address VARCHAR(200), login VARCHAR(200));
INSERT INTO aliases VALUES ('sales@example.org', 'dave');
"""


class OpenLDAP(Server):
    kind = "ldap"

    def prepare(self):
        (self.folder / "data").mkdir()
        (self.folder / "slapd.conf").write_text(
            "include /etc/ldap/schema/core.schema\ninclude /etc/ldap/schema/cosine.schema\n"
            "include /etc/ldap/schema/inetorgperson.schema\ninclude /etc/ldap/schema/misc.schema\n"
            "modulepath /usr/lib/ldap\nmoduleload back_mdb\n"
            f"pidfile {self.folder}/pid\nsizelimit unlimited\n"
            "database mdb\nsuffix \"dc=example,dc=org\"\nrootdn \"cn=replygate,dc=example,dc=org\"\nrootpw secret\n"
            f"directory {self.folder}/data\nindex mail eq\n")

    def command(self):
        return ["slapd", "-h", f"ldap://127.0.0.1:{self.port}", "-f", f"{self.folder}/slapd.conf", "-d", "0"]

    def add(self, entries):
        text = "\n\n".join("\n".join(f"{name}: {value}" for name, value in entry) for entry in entries)
        run("ldapadd", "-x", "-H", f"ldap://127.0.0.1:{self.port}", "-D", "cn=replygate,dc=example,dc=org", "-w", "secret",
            input=text.encode())

    def person(self, name, mail, department=None):
        entry = [("dn", f"cn={name},ou=people,dc=example,dc=org"), ("objectClass", "inetOrgPerson"), ("cn", name),
                 ("sn", name)]
        entry += [("mail", address) for address in mail]
        return entry + ([("departmentNumber", department)] if department else [])

    def fill(self):
        self.add([
            [("dn", "dc=example,dc=org"), ("objectClass", "dcObject"), ("objectClass", "organization"), ("dc", "example"),
             ("o", "example")],
            [("dn", "ou=people,dc=example,dc=org"), ("objectClass", "organizationalUnit"), ("ou", "people")],
            [("dn", "ou=groups,dc=example,dc=org"), ("objectClass", "organizationalUnit"), ("ou", "groups")],
            [("dn", "cn=announcers,ou=groups,dc=example,dc=org"), ("objectClass", "nisMailAlias"),
             ("cn", "announcers"), ("rfc822MailMember", "boss@example.org")],
            self.person("bad", ["bad@x.example"], "listed"),
            self.person("two", ["two@x.example", "second@x.example"], "a"),
            self.person("star", ["a*b@x.example"], "star"),
            self.person("paren", ["a(b@x.example"], "paren"),
            self.person("carol", ["carol@example.org"], "Sales"),
            self.person("nothing", ["nothing@x.example"]),
        ])

    def description(self, query, attribute="departmentNumber"):
        return (f"server_host = ldap://127.0.0.1:{self.port}\nversion = 3\nsearch_base = ou=people,dc=example,dc=org\n"
                f"query_filter = {query}\nresult_attribute = {attribute}\n"
                "bind_dn = cn=replygate,dc=example,dc=org\nbind_pw = secret\n")


class Socketmap:
    """Answers what `answers` has for "map key"; what it has not is not found. `silent` makes it answer nothing."""

    def __init__(self, port, answers):
        must_be_free(port)
        self.port, self.answers, self.silent, self.asked = port, answers, threading.Event(), []
        owner = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                while True:
                    digits = b""
                    while (octet := self.rfile.read(1)) not in (b":", b""):
                        digits += octet
                    if not digits:
                        return
                    question = self.rfile.read(int(digits) + 1)[:-1].decode()
                    owner.asked.append(question)
                    if owner.silent.is_set():
                        return threading.Event().wait(60)
                    answer = owner.answers.get(question)
                    reply = ("NOTFOUND " if answer is None else f"OK {answer}").encode()
                    self.wfile.write(b"%d:%s," % (len(reply), reply))

        class Listener(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True
            block_on_close = False

        self.server = Listener(("127.0.0.1", port), Handler)

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
