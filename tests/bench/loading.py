#!/usr/bin/env python3
"""What it takes to start: seconds of processor time, seconds, and MiB at the most.

Makes lists of a million and policies of ten thousand rules, and lets `replygate check` read them; `explain` is what the
program needs for itself. Several programs take turns, the best of some rounds counts: tests/bench/loading.py NEW OLD.
"""

import argparse
import os
import pathlib
import subprocess
import tempfile
import time

SITE = """version = 1
[site]
local_domains = ["example.com"]
"""
RELAYING = """
[[rule]]
name   = "no-open-relay"
unless = { recipient_domain = ["$local_domains", "$relay_domains"], client_ip = "$trusted_networks", authenticated = true }
reply  = { class = "relay-denied", text = "no" }
"""
LISTS = """[lists]
senders = { file = "senders" }
clients = { file = "clients" }
"""


def rule(name, when):
    return f'\n[[rule]]\nname  = "{name}"\nwhen  = {{ {when} }}\nreply = {{ class = "access-denied", text = "no" }}\n'


def condition(i):
    return [
        f'sender = "user{i}@host{i}.example.org"',
        f'client_ip = "10.{i >> 8}.{i & 255}.0/24"',
        f'sender_domain = ".host{i}.example.net", client_ip = "10.1.{i & 255}.{i >> 8}"',
        f'recipient = ["user{i}@example.com", "other{i}@"], authenticated = false',
    ][i % 4]


def write_policies(folder, entries, rules):
    """The commands that are measured."""
    # Line by line: what a process has at the most begins with what the one had that started it.
    with open(folder / "senders", "w") as senders, open(folder / "clients", "w") as clients:
        for i in range(entries):
            senders.write(f"user{i}@host{i % 5000}.example.org\n")
            network = (0x10000000 + i * 512).to_bytes(4, "big")
            clients.write(f"{network[0]}.{network[1]}.{network[2]}.0/24\n")
    listed = rule("senders", 'sender = "$senders"') + rule("clients", 'client_ip = "$clients"')
    policies = {
        f"two lists of {entries}": SITE + LISTS + RELAYING + listed,
        f"{rules} rules for senders": SITE + RELAYING + "".join(rule(f"r{i}", condition(i * 4)) for i in range(rules)),
        f"{rules} rules of four kinds": SITE + RELAYING + "".join(rule(f"r{i}", condition(i)) for i in range(rules)),
    }
    commands = {}
    for i, (name, policy) in enumerate(policies.items()):
        path = folder / f"{i}.toml"
        path.write_text(policy)
        commands[name] = ["check", str(path)]
    return commands | {"explain 550": ["explain", "550"]}


def measure(command):
    """Processor time, time and MiB."""
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(command)}: {said.decode(errors='replace')}")
    return usage.ru_utime + usage.ru_stime, seconds, usage.ru_maxrss / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("programs", nargs="*", default=["build/release/replygate"])
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--rules", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    print("| what | program | CPU s | s | MiB |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name, arguments in write_policies(pathlib.Path(folder), options.entries, options.rules).items():
            taken = {program: [] for program in options.programs}
            for _ in range(options.rounds):
                for program in options.programs:
                    taken[program].append(measure([program, *arguments]))
            for program in options.programs:
                cpu, seconds, size = (min(column) for column in zip(*taken[program]))
                print(f"| {name} | {program} | {cpu:.3f} | {seconds:.3f} | {size:.0f} |", flush=True)


if __name__ == "__main__":
    main()
