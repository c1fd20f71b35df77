#!/usr/bin/env python3
"""Transactions a second, latency and CPU of replygate's engines beside filters that do nothing; see README.md."""

import argparse
import json
import os
import pathlib
import socket
import statistics
import subprocess
import tempfile
import time

POLICY = """version = 1
[milter]
listen = "unix:{dir}/{engine}.sock"
engine = "{engine}"
[log]
decisions = "file:{dir}/records"
[site]
local_domains = ["example.com"]
trusted_networks = ["127.0.0.0/8"]
[[rule]]
name = "no-open-relay"
unless = {{ recipient_domain = ["$local_domains", "$relay_domains"], client_ip = "$trusted_networks", authenticated = true }}
reply = {{ class = "relay-denied", text = "Relaying denied for {{recipient}}; authenticate first" }}
[[rule]]
name = "too-many-recipients"
when = {{ recipients = "> 100" }}
reply = "too-many-recipients"
[[rule]]
name = "sender-quota"
per = "sender"
limit = "1M recipients / 1h"
reply = "quota-exceeded"
"""


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mib(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0


def answers(path):
    with socket.socket(socket.AF_UNIX) as peer:
        try:
            peer.connect(str(path))
            return True
        except OSError:
            return False


def measure(command, path, options, case):
    path.unlink(missing_ok=True)
    filter_ = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        while not answers(path):
            time.sleep(0.02)
        before = cpu_seconds(filter_.pid)
        report = json.loads(subprocess.run(
            [options.milterload, "--socket", f"unix:{path}", "--connections", str(case["connections"]),
             "--think", str(case["think"]), "--duration", str(options.seconds),
             "--messages-per-session", str(case["messages"]), "--recipients", str(case["recipients"]),
             "--senders", "100000", "--json"],
            capture_output=True, text=True, check=True).stdout)
        cpu = cpu_seconds(filter_.pid) - before
        return {"rate": report["per_second"]["transactions"], "p99": report["latency_us"]["transaction"]["p99"] / 1000,
                "cpu": cpu / report["transactions"] * 10000, "mib": resident_mib(filter_.pid)}
    finally:
        filter_.terminate()
        filter_.wait()


def filters(options, folder):
    """Name: (command, path of its socket)."""
    def replygate(engine):
        policy = folder / f"{engine}.toml"
        policy.write_text(POLICY.format(dir=folder, engine=engine))
        return [options.replygate, "run", "--as-root", "-c", str(policy)], folder / f"{engine}.sock"

    return {
        "bare protocol": ([options.raw, f"unix:{folder}/raw.sock"], folder / "raw.sock"),
        "empty libmilter": ([options.null, f"unix:{folder}/null.sock"], folder / "null.sock"),
        "replygate, libmilter": replygate("libmilter"),
        "replygate, asio": replygate("asio"),
    }


def cases(options):
    for connections, think in ((16, 0), (256, 0), (256, 0.005)):
        for messages in (1, 10):
            for recipients in (1, 5):
                chosen = options.connections in (None, connections) and options.messages in (None, messages)
                if chosen and options.think in (None, think * 1000):
                    yield {"connections": connections, "think": think, "messages": messages, "recipients": recipients}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--milterload", required=True)
    parser.add_argument("--null", required=True, help="the filter on libmilter that accepts everything")
    parser.add_argument("--raw", required=True, help="the filter that answers each packet from one thread")
    parser.add_argument("--replygate", default=str(pathlib.Path(__file__).parents[2] / "build/release/replygate"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--connections", type=int, help="cases with so many alone")
    parser.add_argument("--messages", type=int, help="cases with so many a session alone")
    parser.add_argument("--think", type=float, help="cases with such a pause alone, in ms")
    options = parser.parse_args()
    print("| connections | think ms | messages | recipients | filter | tx/s | p99 ms | CPU s/10k | MiB "
          "| tx/s of empty libmilter | p99 | CPU |")
    print("|---|---|---|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for case in cases(options):
            results = {name: [] for name in filters(options, folder)}
            for _ in range(options.rounds):
                for name, (command, path) in filters(options, folder).items():
                    (folder / "records").unlink(missing_ok=True)
                    results[name].append(measure(command, path, options, case))
            middle = {name: {key: statistics.median(r[key] for r in rows) for key in rows[0]}
                      for name, rows in results.items()}
            base = middle["empty libmilter"]
            for name, row in middle.items():
                print(f"| {case['connections']} | {case['think'] * 1000:.0f} | {case['messages']} | {case['recipients']} "
                      f"| {name} | {row['rate']:.0f} | {row['p99']:.2f} | {row['cpu']:.2f} | {row['mib']:.0f} "
                      f"| {row['rate'] / base['rate']:.2f} | {row['p99'] / base['p99']:.2f} "
                      f"| {row['cpu'] / base['cpu']:.2f} |", flush=True)


main()
