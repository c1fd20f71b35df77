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


def told(task, what):
    """What a thread's file says; nothing of one that has just ended."""
    try:
        return (task / what).read_text()
    except OSError:
        return ""


def tasks(pid):
    return list(pathlib.Path(f"/proc/{pid}/task").iterdir())


def children(pid):
    return [int(child) for task in tasks(pid) for child in told(task, "children").split()]


def ended_seconds(pid):
    """Of the processes it has started and waited for."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")


def thread_names(pid):
    return {int(task.name): name for task in tasks(pid) if (name := told(task, "comm").strip())}


def deciding_seconds(pid):
    """Of the threads that decide, where their names tell; else None."""
    deciding = [task for task in tasks(pid) if told(task, "comm").startswith(DECIDING)]
    return sum(int((told(task, "schedstat") or "0").split()[0]) for task in deciding) / 1e9 if deciding else None


def settle(pid):
    """Waits until what has been put off (log, history, store) is done, at most three seconds."""
    before = process_seconds(pid)
    for _ in range(20):
        time.sleep(0.15)
        now = process_seconds(pid)
        if now - before < 0.001:
            return
        before = now
