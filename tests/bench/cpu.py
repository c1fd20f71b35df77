"""What a process has taken of the processors, by its threads."""

import os
import pathlib
import time

DECIDING = "milter"  # what the names of threads that speak the milter protocol begin with


def process_seconds(pid):
    """Of all its threads and of the processes it has started, those that have ended too."""
    return time.clock_gettime(clock_of(pid)) + sum(process_seconds(child) for child in children(pid)) + ended_seconds(pid)


def clock_of(pid):
    """As clock_getcpuclockid() makes it."""
    return (~pid << 3) | 2


def children(pid):
    found = []
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        try:
            found += map(int, (task / "children").read_text().split())
        except OSError:
            pass  # it has just ended
    return found


def ended_seconds(pid):
    """Of the processes it has started and waited for."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")


def thread_names(pid):
    names = {}
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        try:
            names[int(task.name)] = (task / "comm").read_text().strip()
        except OSError:
            pass  # it has just ended
    return names


def deciding_seconds(pid):
    """Of the threads that decide, where their names tell; else None."""
    deciding = [tid for tid, name in thread_names(pid).items() if name.startswith(DECIDING)]
    return sum(thread_seconds(pid, tid) for tid in deciding) if deciding else None


def thread_seconds(pid, tid):
    try:
        return int(pathlib.Path(f"/proc/{pid}/task/{tid}/schedstat").read_text().split()[0]) / 1e9
    except OSError:
        return 0  # it has just ended


def settle(pid):
    """Waits until what has been put off (log, history, store) is done, at most three seconds."""
    before = process_seconds(pid)
    for _ in range(20):
        time.sleep(0.15)
        now = process_seconds(pid)
        if now - before < 0.001:
            return
        before = now
