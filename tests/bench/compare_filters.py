"""Transactions a second, latency and CPU of replygate beside two filters that do nothing, as ratios. See README.md."""

import argparse
import datetime
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import tempfile

import cpu
import filters
import parts
import peers
import table

ROOT = pathlib.Path(__file__).parents[2]
# Connections, pause before a command in ms, messages a session, recipients.
COLUMNS = [(16, 0, 10, 5), (16, 0, 1, 1), (16, 0, 10, 1), (256, 5, 10, 1)]
SHORT_COLUMNS = COLUMNS[2:]
SHORT_NAMES = [filters.BARE, filters.SHIPPED]


def loaded(folder, column, seconds):
    connections, think, messages, recipients = column
    return json.loads(filters.load(
        folder, built(), "--connections", connections, "--think-ms", think, "--messages", messages,
        "--recipients", recipients, "--senders", 100000, "--seconds", seconds))


def built():
    return ROOT / "build/release"


def measure(name, column, options, steps):
    """One filter, started anew, once it has served for a moment. What it has put off is its cost, too."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="replygate-bench."))
    try:
        (folder / "history").mkdir()
        with filters.running(filters.command(name, folder, built(), steps), folder) as pid:
            loaded(folder, column, options.seconds / 4)
            cpu.settle(pid)
            before, deciding_before = cpu.process_seconds(pid), cpu.deciding_seconds(pid)
            report = loaded(folder, column, options.seconds)
            cpu.settle(pid)
            took, deciding = cpu.process_seconds(pid) - before, cpu.deciding_seconds(pid)
    finally:
        shutil.rmtree(folder)
    if report["refused"] and name not in peers.NAMES:  # of theirs some find a database locked
        raise RuntimeError(f"{name}: {report['refused']} refusals")
    scale = 10000 / report["transactions"]
    result = {"rate": report["transactions_per_second"], "p50_us": report["p50_us"], "p99_us": report["p99_us"],
              "cpu": took * scale, "load_cpu": report["cpu_seconds"] * scale}
    if deciding is not None:
        result["deciding"] = (deciding - deciding_before) * scale
        result["others"] = result["cpu"] - result["deciding"]
    return result


def steps_of_replygate():
    """What the policy of the run asks of the MTA: the filters that do nothing ask for the same."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "history").mkdir()
        with filters.running(filters.command(filters.SHIPPED, folder, built(), 0), folder):
            return filters.negotiated_steps(folder)


def cells(options):
    """Filters take turns, so that what else the machine does meets all of them; the middle of the rounds counts."""
    steps = steps_of_replygate()
    for place, column in enumerate(options.columns):
        rounds = []
        for number in range(options.rounds):
            print(f"@{place * options.rounds + number}/{len(options.columns) * options.rounds}", flush=True)
            results = {name: measure(name, column, options, steps) for name in options.names}
            bare = results[filters.BARE]
            for result in results.values():
                for key in ("rate", "cpu", "p99_us"):
                    result[f"{key}_ratio"] = result[key] / max(bare[key], 1e-9)
            rounds.append(results)
        for name in options.names:
            middle = {key: statistics.median(results[name][key] for results in rounds) for key in rounds[0][name]}
            yield {"column": column, "filter": name, **middle}


def git(*arguments):
    return subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False).stdout.strip()


def commit():
    """With a plus behind it where the sources of the program are not those of the commit."""
    changed = git("status", "--porcelain", "policy", "milter", "CMakeLists.txt")
    return git("rev-parse", "--short=12", "HEAD") + ("+" if changed else "")


def arguments():
    parser = argparse.ArgumentParser(prog="tests/bench/run.sh", description=__doc__)
    parser.add_argument("--short", action="store_true", help="two columns, two filters, one round")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=float, help="of load in a round of a filter")
    parser.add_argument("--column", type=int, action="append", help=f"1 to {len(COLUMNS)}: these columns alone")
    parser.add_argument("--filter", action="append", choices=filters.NAMES, help="these alone, and the bare protocol")
    parser.add_argument("--peers", action="store_true", help="rspamd and mailfromd, too, which have to be installed")
    parser.add_argument("--keys", type=int, default=1_000_000, help="counters of store_bench (a million)")
    parser.add_argument("--json", help="where the figures go (build/bench.json, or build/bench-short.json)")
    parser.add_argument("--markdown", action="store_true", help="put the tables into tests/bench/README.md")
    parser.add_argument("--compare", metavar="FILE", help="say what got dearer since this JSON was written")
    options = parser.parse_args()
    options.rounds = options.rounds or (1 if options.short else 5)
    options.seconds = options.seconds or (2 if options.short else 3)
    options.json = options.json or str(ROOT / ("build/bench-short.json" if options.short else "build/bench.json"))
    options.columns = [COLUMNS[n - 1] for n in options.column] if options.column else SHORT_COLUMNS if options.short else COLUMNS
    chosen = options.filter or (SHORT_NAMES if options.short else filters.NAMES)
    options.whole = not (options.short or options.column or options.filter)
    options.names = [name for name in filters.NAMES if name == filters.BARE or name in chosen]
    options.names += peers.NAMES if options.peers else []
    return options


def main():
    options = arguments()
    old = json.loads(pathlib.Path(options.compare).read_text()) if options.compare else None
    report = {"commit": commit(), "date": datetime.date.today().isoformat(), "cores": os.cpu_count(),
              "rounds": options.rounds, "seconds": options.seconds, "cells": list(cells(options))}
    if options.whole:
        report |= parts.measured(built(), options.keys)
    pathlib.Path(options.json).write_text(json.dumps(report, indent=1) + "\n")
    text = table.tables(report) + (parts.text(report) if options.whole else "")
    print(text, end="")
    if options.markdown:
        table.put_into(pathlib.Path(__file__).parent / "README.md", text)
    if old:
        print(table.comparison(old, report), end="")


main()
