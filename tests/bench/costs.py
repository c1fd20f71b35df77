"""What a transaction costs replygate where that is no matter of time: calls that its threads make, and octets.

Plays a fixed dialogue, and compares with costs.json, which --record writes anew. One connection, a command at a time, each
sent once the daemon has gone to sleep: how often the threads that speak the protocol read, wait, allocate or lock is then
the same each time. The other threads take what has come meanwhile in one go, however much that is; of them only what they
leave on disk is judged. Exit status 1 where something got dearer, 77 where there is nothing to compare with.
"""

import argparse
import ctypes
import json
import mmap
import os
import pathlib
import platform
import re
import struct
import subprocess
import sys
import tempfile

import cpu
import filters

KINDS = ["allocations", "reads", "writes", "octets_sent", "octets_written", "syncs", "polls", "futexes", "mutexes", "others"]
SLOT = struct.Struct(f"{1 + len(KINDS)}q")
CASES = {"1 message, 1 recipient": (1, 1), "10 messages, 1 recipient": (10, 1), "10 messages, 5 recipients": (10, 5)}
TRANSACTIONS = 1000
THINK_MS = 0.2
RECORDED = pathlib.Path(__file__).parent / "costs.json"
# What may come on top, as a share and a transaction. Calls are the same each time, but for timers that wake a thread now and
# then, and for whom is woken: nobody, where the reader is still at work. A daemon that was kept waiting reads two commands at
# once. What comes together in the history is packed together. Compilers arrange instructions in another way.
SLACK = {"instructions": (0.03, 0), "reads": (0.02, 0.05), "polls": (0.05, 0.05), "futexes": (0.25, 0.3), "log_octets": (0.05, 0),
         "history_octets": (0.15, 0), "mutexes": (0.03, 0.05), "others": (0.03, 0.05)}
SLACK_OF_CALLS = (0.01, 0.05)
ATTEMPTS = 3


class Instructions:
    """Those of each thread, where the processor counts them and the system lets us see."""

    NUMBER = {"x86_64": 298, "aarch64": 241}.get(platform.machine())

    def __init__(self, pid):
        # PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS; bits exclude_kernel and exclude_hv.
        attributes = struct.pack("IIQQQQQ", 0, 112, 1, 0, 0, 0, 1 << 5 | 1 << 6) + bytes(64)
        library = ctypes.CDLL(None, use_errno=True)
        self.files = {}
        for tid in cpu.thread_names(pid) if self.NUMBER else []:
            file = library.syscall(self.NUMBER, attributes, tid, -1, -1, 0)
            if file >= 0:
                self.files[tid] = file

    def read(self):
        return {tid: struct.unpack("Q", os.read(file, 8))[0] for tid, file in self.files.items()}

    def close(self):
        for file in self.files.values():
            os.close(file)


def counts(table):
    """Of each thread so far."""
    slots = (SLOT.unpack_from(table, offset) for offset in range(0, len(table) - SLOT.size, SLOT.size))
    return {slot[0]: dict(zip(KINDS, slot[1:], strict=True)) for slot in slots if slot[0]}


def octets(path):
    return sum(file.stat().st_size for file in ([path] if path.is_file() else path.iterdir()))


def play(folder, built, case, think):
    messages, recipients = case
    return json.loads(filters.load(
        folder, built, "--connections", 1, "--together", "--messages", messages, "--recipients", recipients,
        "--think-ms", think, "--transactions", TRANSACTIONS))


def measure(built, case):
    """Figures a transaction: of the threads that decide, of all others, and of what is left on disk."""
    with tempfile.TemporaryDirectory(prefix="replygate-costs.") as name:
        folder = pathlib.Path(name)
        (folder / "history").mkdir()
        environment = {**os.environ, "LD_PRELOAD": str(built / "tests/libcounting.so"), "REPLYGATE_COUNTS": str(folder / "counts")}
        # One thread that speaks the protocol, however many processors there are.
        arguments = filters.replygate(folder, built, filters.policy(folder, threads=1))
        with filters.running(arguments, folder, environment) as pid, open(folder / "counts", "r+b") as file:
            table = mmap.mmap(file.fileno(), 0)
            play(folder, built, case, 0)  # the same senders: their counters exist from now on
            cpu.settle(pid)
            instructions = Instructions(pid)
            before, worked_before = counts(table), instructions.read()
            transactions = play(folder, built, case, THINK_MS)["transactions"]
            cpu.settle(pid)
            after, worked = counts(table), instructions.read()
            instructions.close()
            table.close()
            names = cpu.thread_names(pid)
        # As a daemon that has ended leaves them, of both times that the case was played.
        kept = {"log_octets": octets(folder / "records"), "history_octets": octets(folder / "history")}
    took = {tid: {kind: after[tid][kind] - before.get(tid, {}).get(kind, 0) for kind in KINDS} for tid in after}
    for tid in worked:
        took.setdefault(tid, {})["instructions"] = worked[tid] - worked_before[tid]
    # Where threads have no such names, it is they who answer.
    deciding = {tid for tid in took if names.get(tid, "").startswith(cpu.DECIDING)} or \
               {tid for tid in took if took[tid].get("octets_sent")}
    return {"deciding": total(took, deciding, transactions), "others": total(took, took.keys() - deciding, transactions),
            "disk": {key: round(value / 2 / transactions, 1) for key, value in kept.items()}}


def total(took, threads, transactions):
    kinds = dict.fromkeys(kind for tid in took for kind in took[tid])
    return {kind: round(sum(took[tid].get(kind, 0) for tid in threads) / transactions, 3) for kind in kinds}


def toolchain(built):
    """What makes figures comparable: allocations and instructions are those of compiler and libraries, too."""
    linked = subprocess.run(["ldd", str(built / "replygate")], capture_output=True, text=True, check=True).stdout
    compiler = re.search(r"GCC: \(.*?\) ([\d.]+)", (built / "replygate").read_bytes().decode("latin-1"))
    libraries = re.findall(r"lib((?:boost_json|fmt|sqlite3|stdc\+\+)\.so\.[\d.]+)", linked)
    other = re.findall(r"lib(?:je|tc)malloc", linked + os.environ.get("LD_PRELOAD", ""))
    return " ".join([platform.machine(), f"GCC {compiler[1]}" if compiler else "no GCC", *sorted(set(libraries)), *other])


def limit(kind, recorded):
    share, more = SLACK.get(kind, SLACK_OF_CALLS)
    return max(recorded * share, more)


def differences(recorded, found):
    """(kind, recorded, found) of what is judged and is not as recorded."""
    for group in ("deciding", "disk"):
        for kind, was in recorded[group].items():
            now = found[group].get(kind)
            if now is not None and abs(now - was) > limit(kind, was):
                yield kind, was, now


def least(first, second):
    """What comes on top is noise: a preempted daemon, a timer."""
    return {group: {kind: min(value, second[group].get(kind, value)) for kind, value in first[group].items()} for group in first}


def show(case, found):
    print(f"{case}, a transaction:")
    for group, figures in found.items():
        print(f"  {group:9}" + ", ".join(f"{kind} {value:g}" for kind, value in figures.items()))


def judge(case, recorded, found, built):
    """True where nothing got dearer."""
    for _ in range(ATTEMPTS - 1):
        if all(now <= was for _, was, now in differences(recorded, found)):
            break
        found = least(found, measure(built, CASES[case]))
    show(case, found)
    good = True
    for kind, was, now in differences(recorded, found):
        print(f"  {'DEARER' if now > was else 'cheaper: run --record'}: {kind} {was:g} -> {now:g}")
        good = good and now < was
    return good


def main():
    parser = argparse.ArgumentParser(usage="costs.py BUILD/replygate [--record]")
    parser.add_argument("replygate", type=pathlib.Path, help="the program, in the folder of its build")
    parser.add_argument("--record", action="store_true", help="these figures are what later ones are compared with")
    options = parser.parse_args()
    built = options.replygate.parent
    made_by = toolchain(built)
    found = {case: measure(built, CASES[case]) for case in CASES}
    if not any("instructions" in figures["deciding"] for figures in found.values()):
        print("instructions: not counted, since perf_event_open is not to be had")
    if options.record:
        found = {case: least(figures, measure(built, CASES[case])) for case, figures in found.items()}
        for case, figures in found.items():
            show(case, figures)
        RECORDED.write_text(json.dumps({"toolchain": made_by, "cases": found}, indent=1) + "\n", encoding="utf-8")
        return 0
    recorded = json.loads(RECORDED.read_text(encoding="utf-8"))
    if recorded["toolchain"] != made_by:
        for case, figures in found.items():
            show(case, figures)
        print(f"not judged: recorded with {recorded['toolchain']}, and this is {made_by}")
        return 77
    return 0 if all([judge(case, recorded["cases"][case], found[case], built) for case in CASES]) else 1


sys.exit(main())
