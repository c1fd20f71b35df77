"""What decisions and counters cost by themselves, without a protocol: what decide_bench and store_bench print."""

import json
import subprocess


def name_of(row):
    kind, policy, *recipients = row["name"].split("/")
    return f"{policy}, a message to {recipients[0]}, store and record included, each" if kind == "message" else policy


def measured(built, keys):
    decisions = subprocess.run([str(built / "tests/decide_bench"), "--benchmark_format=json", "--benchmark_min_time=0.2"],
                               capture_output=True, text=True, check=True).stdout
    counting = subprocess.run([str(built / "tests/store_bench"), str(keys)], capture_output=True, text=True, check=True).stdout
    return {
        "decisions": {name_of(row): {"ns": row.get("ns_each", row["cpu_time"]), "allocations": row["allocations"]}
                      for row in json.loads(decisions)["benchmarks"]},
        "counting": [line for line in counting.splitlines() if line.strip()],
    }


def text(parts):
    said = "\nDecisions at RCPT, without a store:\n\n| policy | ns | allocations |\n|---|---|---|\n"
    for name, row in parts["decisions"].items():
        said += f"| {name.replace('_', ' ')} | {row['ns']:.0f} | {row['allocations']:.0f} |\n"
    return said + "\nCounting:\n\n```\n" + "\n".join(parts["counting"]) + "\n```\n"
