"""What the tests with real MTAs have in common."""

import os
import shutil
import sys
import unittest

import alone
import sendmail
from postfix import Postfix
from sendmail import Sendmail


def begin():
    """Gives the test what it needs, and name spaces of its own; or says what is missing and exits with the status that
    means skipped."""
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    if os.geteuid() != 0 or shutil.which("postfix") is None:
        print("skipped: needs root and the postfix package; tests/run.sh installs it", file=sys.stderr)
        sys.exit(alone.SKIPPED)
    sendmail.fetch()
    alone.alone()


def main():
    """Runs the tests of the calling module."""
    begin()
    unittest.main(verbosity=1)


def both(port):
    """Both MTAs with the milter at `port`, one after the other, as (name, factory)."""
    return (
        ("postfix", lambda **more: Postfix(f"inet:127.0.0.1:{port}", **more)),
        ("sendmail", lambda **more: Sendmail(f"inet:{port}@127.0.0.1", **more)),
    )
