#!/usr/bin/env python3
"""Writes the man pages that repeat what is written elsewhere: build.py BINARY SOURCES FOLDER.

replygate.toml(5) is conf/POLICY.md, replygate-codes(7) is `replygate codes`, the pages of the command families are what
the commands say of themselves.
"""

import pathlib
import re
import subprocess
import sys

binary, sources, folder = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])

FAMILIES = {
    "replygate-check.1": ("examine policies, reply codes and bounces", ["check", "test", "try", "replay", "suggest", "report", "import", "codes", "explain"]),
    "replygate-control.8": (
        "see and change the running daemon",
        ["status", "rules", "quota list", "quota show", "quota reset", "quota raise", "outcome", "outcome dead", "outcome clear", "top", "tail", "why", "reload", "drain"],
    ),
    "replygate-doctor.8": ("examine this host, and set up its mail server", ["doctor", "init", "setup"]),
}


def run(*words):
    return subprocess.run([binary, *words], capture_output=True, text=True, check=True).stdout


def escape(text):
    text = text.replace("\\", "\\e").replace("-", "\\-")
    text = "".join(c if c.isascii() else f"\\[u{ord(c):04X}]" for c in text)  # groff_char(7)
    return "\\&" + text if text.startswith((".", "'")) else text


def inline(text):
    text = re.sub(r'<a id="[^"]*"></a>', "", text)
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    parts = re.split(r"(`[^`]*`|\*\*[^*]*\*\*)", text)
    result = ""
    for part in parts:
        if part.startswith("`"):
            result += "\\fB" + escape(part[1:-1]) + "\\fR"
        elif part.startswith("**"):
            result += "\\fB" + escape(part[2:-2]) + "\\fR"
        else:
            result += escape(part)
    return "\\&" + result if result.startswith((".", "'")) else result


def head(page, about):
    name, section = page.rsplit(".", 1)
    return f'.TH {name.upper()} {section} "" replygate\n.SH NAME\n{name} \\- {about}\n'


def row(cells):
    """The first cells name something; the last ones explain it."""
    names = " ".join(inline(c) for c in cells[:-1] if c) if len(cells) > 1 else inline(cells[0])
    return f".TP\n{names}\n{inline(cells[-1]) if len(cells) > 1 else ''}\n"


def cells_of(line):
    return [c.strip().replace("\\|", "|") for c in re.split(r"(?<!\\)\|", line.strip().strip("|"))]


def table(lines):
    titles, result, first = cells_of(lines[0]), "", ""
    for line in lines[2:]:
        cells = cells_of(line)
        first = cells[0] or first
        if titles[0] == "section" and len(cells) == 4:
            default = f" Default: {cells[3]}." if cells[3] else ""
            result += row([first, cells[1], cells[2] + "." + default])
        elif len(cells) > 2:
            result += row([cells[0], ". ".join(f"{t}: {c}" for t, c in zip(titles[1:], cells[1:]) if c)])
        else:
            result += row(cells)
    return result


def markdown(text):
    result, lines, at = "", text.splitlines(), 0
    while at < len(lines):
        line = lines[at]
        if line.startswith("```"):
            end = next(i for i in range(at + 1, len(lines)) if lines[i].startswith("```"))
            result += ".PP\n.in +4n\n.nf\n" + "".join(escape(x) + "\n" for x in lines[at + 1 : end]) + ".fi\n.in\n"
            at = end
        elif line.startswith("|"):
            end = next((i for i in range(at, len(lines)) if not lines[i].startswith("|")), len(lines))
            result += table(lines[at:end])
            at = end - 1
        elif line.startswith("#"):
            level = len(line) - len(line.lstrip("#"))
            result += (".SH " if level <= 2 else ".SS ") + escape(line.lstrip("# ")) + "\n"
        elif re.match(r"[*-] ", line):
            result += ".IP \\(bu 2\n" + inline(line[2:]) + "\n"
        elif line.strip():
            result += inline(line.strip()) + "\n"
        else:
            result += ".PP\n"
        at += 1
    return re.sub(r"(\.PP\n)+(?=\.(SH|SS|TP|IP|PP)|$)", "", result)


def family(page):
    about, commands = FAMILIES[page]
    text = head(page, about) + ".SH COMMANDS\n"
    for command in commands:
        help_text = run(*command.split(), "--help")
        first, rest = help_text.split("\n", 1)
        usage = re.search(r"^Usage: (.*)$", help_text, re.M)
        body = rest.split(usage.group(0), 1)[1] if usage else rest
        text += f".SS {escape('replygate ' + command)}\n{escape(first)}\n.PP\n.nf\n"
        text += "".join(escape(line) + "\n" for line in body.strip("\n").splitlines()) + ".fi\n"
    return text + ".SH SEE ALSO\nreplygate(8), replygate.toml(5), replygate\\-codes(7)\n"


pages = {name: family(name) for name in FAMILIES}
policy = (sources / "conf/POLICY.md").read_text(encoding="utf-8")
policy = policy.split("\n", 1)[1]
pages["replygate.toml.5"] = (
    head("replygate.toml.5", "the policy of replygate") + ".SH DESCRIPTION\n" + markdown(policy) + ".SH SEE ALSO\nreplygate(8)\n"
)
codes = "".join(escape(line) + "\n" for line in run("codes").splitlines())
pages["replygate-codes.7"] = (
    head("replygate-codes.7", "SMTP reply codes and classifications")
    + ".SH DESCRIPTION\n\\fBreplygate explain\\fR says more of each.\n.PP\n.nf\n" + codes
    + ".fi\n.SH SEE ALSO\nreplygate\\-check(1), replygate(8)\n"
)
folder.mkdir(parents=True, exist_ok=True)
for name, text in pages.items():
    (folder / name).write_text(text)
