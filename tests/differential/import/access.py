"""Access tables: a private Postfix decides over XCLIENT, one smtpd for each configuration, and so does their import.

A configuration has main.cf settings, and files: "#FILE name" and its lines behind "#" (a line that is to begin with a
blank has it there). FOLDER is where they are.
"""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import ours
import transactions

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "mta"))
import alone  # noqa: E402

FIRST_PORT = 3000
LISTS = ("client", "helo", "sender", "relay", "recipient", "data", "end_of_data")


def split(text, folder):
    """Settings; the files are written."""
    parts = text.split("#FILE ")
    for part in parts[1:]:
        name, content = part.split("\n", 1)
        (folder / name.strip()).write_text("".join(line[1:] + "\n" for line in content.splitlines() if line.startswith("#")))
    settings = {}
    for line in parts[0].replace("FOLDER", str(folder)).splitlines():
        if "=" in line:
            name, value = line.split("=", 1)
            settings[name.strip()] = value.strip()
    return settings


def service(name, port, settings):
    """A line of master.cf. What is not said is open. The log has the name."""
    every = {f"smtpd_{name}_restrictions": "" for name in LISTS}
    every["syslog_name"] = f"postfix/{name}"
    every.update({"smtpd_relay_restrictions": "check_client_access static:OK, reject", "recipient_delimiter": "", "mynetworks": "127.0.0.1/32"}, **settings)
    options = "".join(f" -o {{{{ {name} = {value} }}}}" for name, value in every.items())  # for str.format()
    return f"127.0.0.1:{port} inet n - n - 250 smtpd{options}\n"


def session(client, one, port):
    """The replies to RCPT, and to the end of the message. The log knows the transaction by its port."""
    name = "[UNAVAILABLE]" if one.name == "unknown" else one.name
    address = f"IPV6:{one.client}" if ":" in one.client else one.client
    client("EHLO proxy.example")
    login = f" LOGIN={one.user}" if one.user else ""
    banner = client(f"XCLIENT ADDR={address} NAME={name} PORT={port}{login}")
    assert banner.startswith("220"), banner
    client(f"EHLO {one.helo}")
    mail = client(f"MAIL FROM:<{one.sender}>")
    answers = [client(f"RCPT TO:<{recipient}>") for recipient in one.recipients]
    end = ""
    if any(answer[0] == "2" for answer in answers):
        end = client("DATA")
        if end[0] == "3":
            end = client("Subject: x\r\n\r\nx\r\n.")
    assert mail[0] == "2", mail
    return answers, end


def verdicts(answers, end, fate):
    kinds = {"2": "pass", "4": "temp", "5": "perm"}
    message = fate or kinds.get(end[:1], "pass")
    return [message if answer[0] == "2" else kinds[answer[0]] for answer in answers]


def fates_of(log, name):
    """What the smtpd of a configuration says of mail that it holds or discards, by port."""
    return {int(port): fate for fate, port in re.findall(rf"postfix/{name}/smtpd\[\d+\]: \w+: (hold|discard): RCPT from \S+\]:(\d+): ", log)}


def real(chosen, base):
    """The verdicts of Postfix, by configuration."""
    import postfix
    import smtp

    services = {name: FIRST_PORT + at for at, (name, _, _) in enumerate(chosen)}
    postfix.MASTER += "".join(service(name, services[name], split(text, base / name)) for name, _, text in chosen)
    told = {}
    with postfix.Postfix(users={"nobody": "nothing"}, settings="local_recipient_maps =\nsmtpd_client_event_limit_exceptions = 127.0.0.0/8\n"
                                  "inet_protocols = all\nsmtputf8_enable = no\nsmtpd_client_port_logging = yes\n") as server:
        for name, options, text in chosen:
            replies = []
            for at, one in enumerate(transactions.of(name, text, several="several" in options), 1):
                with smtp.Client(services[name], source="127.0.0.1") as client:
                    replies.append(session(client, one, at))
            told[name] = replies
        fates = {name: fates_of(server.log(), name) for name in told}
        return {name: [verdicts(*reply, fates[name].get(at)) for at, reply in enumerate(replies, 1)] for name, replies in told.items()}


def postconf(settings):
    """As `postconf -n` would print it."""
    every = {"smtpd_relay_restrictions": "permit", "mynetworks": "127.0.0.1/32"}
    every.update(settings)
    return "".join(f"{name} = {value}\n" for name, value in every.items() if value)


def imported(binary, folder, options, settings):
    table = next((o for o in options if o.startswith("access=")), None)
    if not table:
        (folder / "main.cf").write_text(postconf(settings))
        return ours.Import(binary, folder, ["postfix", folder / "main.cf"])
    kind, path = re.search(r"check_(\w+)_access \w+:(\S+)", " ".join(settings.values())).groups()
    more = ["--delimiter", settings["recipient_delimiter"]] if "recipient_delimiter" in settings else []
    more += ["--dotted-parents"] if "dotted" in table else []
    return ours.Import(binary, folder, ["access", "--as", kind, *more, path])


def has_tables():
    """postconf -m wants a main.cf, which may be anywhere."""
    if not shutil.which("postconf"):
        return False
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "main.cf").touch()
        return "pcre" in subprocess.run(["postconf", "-c", folder, "-m"], capture_output=True, text=True).stdout.split()


def run(binary, chosen, score):
    if not has_tables():
        print("skipped: Postfix, or its pcre tables, are not installed")
        return alone.SKIPPED
    alone.alone()
    with tempfile.TemporaryDirectory() as folder:
        base = pathlib.Path(folder)
        base.chmod(0o755)
        for name, _, _ in chosen:
            (base / name).mkdir()
        theirs = real(chosen, base)
        for name, options, text in chosen:
            settings = split(text, base / name)
            try:
                mine = imported(binary, base / name, options, settings)
                from compare import check_losses, never_stricter
                check_losses(score, name, options, mine)
                all_of_them = transactions.of(name, text, several="several" in options)
                got = mine.verdicts(all_of_them)
                if mine.lost:
                    never_stricter(score, name, all_of_them, theirs[name], got)
                    score.configurations += 1
                else:
                    score.compare(name, all_of_them, theirs[name], got)
            except ours.Failed as failed:
                score.wrong.append(f"{name}: {failed}")
        return score.report("postfix")
