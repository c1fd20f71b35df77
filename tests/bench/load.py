#!/usr/bin/env python3
"""Transactions a second, latency and CPU of replygate beside a filter that does nothing; see README.md."""

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
listen = "unix:{dir}/replygate.sock"
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


def measure(command, path, options, messages, recipients, connections):
    path.unlink(missing_ok=True)
    filter_ = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        while not answers(path):
            time.sleep(0.02)
        before = cpu_seconds(filter_.pid)
        report = json.loads(subprocess.run(
            [options.milterload, "--socket", f"unix:{path}", "--connections", str(connections),
             "--duration", str(options.seconds), "--messages-per-session", str(messages),
             "--recipients", str(recipients), "--senders", "100000", "--json"],
            capture_output=True, text=True, check=True).stdout)
        cpu = cpu_seconds(filter_.pid) - before
        return {"rate": report["per_second"]["transactions"], "p99": report["latency_us"]["transaction"]["p99"],
                "cpu": cpu / report["transactions"] * 10000, "mib": resident_mib(filter_.pid)}
    finally:
        filter_.terminate()
        filter_.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--milterload", required=True)
    parser.add_argument("--reference", required=True)
    parser.add_argument("--replygate", default=str(pathlib.Path(__file__).parents[2] / "build/release/replygate"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--connections", type=int, default=16)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        policy = folder / "policy.toml"
        policy.write_text(POLICY.format(dir=folder))
        filters = {
            "reference": ([options.reference, f"unix:{folder}/null.sock"], folder / "null.sock"),
            "replygate": ([options.replygate, "run", "-c", str(policy)], folder / "replygate.sock"),
        }
        print("messages recipients | reference tx/s  p99 us  CPU s/10k | replygate tx/s  p99 us  CPU s/10k   MiB"
              " | ratio tx/s  p99   CPU")
        for messages in (1, 10):
            for recipients in (1, 5):
                results = {name: [] for name in filters}
                for _ in range(options.rounds):
                    for name, (command, path) in filters.items():
                        (folder / "records").unlink(missing_ok=True)
                        results[name].append(
                            measure(command, path, options, messages, recipients, options.connections))
                middle = {name: {key: statistics.median(r[key] for r in rows) for key in rows[0]}
                          for name, rows in results.items()}
                a, b = middle["reference"], middle["replygate"]
                print(f"{messages:8} {recipients:10} | {a['rate']:14.0f} {a['p99']:7.0f} {a['cpu']:10.2f} |"
                      f" {b['rate']:14.0f} {b['p99']:7.0f} {b['cpu']:10.2f} {b['mib']:5.0f} |"
                      f" {b['rate'] / a['rate']:10.2f} {b['p99'] / a['p99']:5.2f} {b['cpu'] / a['cpu']:5.2f}", flush=True)


main()
