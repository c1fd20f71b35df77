"""A Postfix that delivers to a server of many tempers, and whose log somebody follows."""

import contextlib
import re

import postfix
from test_logs import PORT

SETTINGS = """
maillog_file = {folder}/mail.log
maillog_file_prefixes = {folder}
relayhost = [127.0.0.1]:{port}
smtp_host_lookup = native
minimal_backoff_time = {pause}
maximal_backoff_time = {pause}
queue_run_delay = {pause}
"""


@contextlib.contextmanager
def delivering():
    """Every Postfix that starts within delivers mail to others, which it would discard."""
    master = postfix.MASTER
    postfix.MASTER = re.sub(r"^(smtp|relay) unix (.*) discard$", r"\1 unix \2 smtp", master, flags=re.M)
    try:
        yield
    finally:
        postfix.MASTER = master


def followed(folder, pause, more=""):
    """Settings of one that logs to a folder of the daemon, and tries again after a pause."""
    return SETTINGS.format(folder=folder, port=PORT, pause=pause) + more
