"""Says what a run of tests/run.sh has shown: summary.py FOLDER. What each stage took, the ten slowest tests, and how many
passed, failed and did not run. Exit status 1 unless all passed. summary.py FOLDER --failed REPORT prints the tests that
failed, joined by "|"; exit status 1 where there are none."""

import pathlib
import sys
import xml.etree.ElementTree as tree

SLOWEST = 10


AGAIN = "-again"  # the report of those that were tried once more


def of_report(path):
    """Of each test: (seconds, name, status)."""
    if not path.exists():
        return []
    return [(float(case.get("time", 0)), case.get("name"), case.get("status"))
            for case in tree.parse(path).getroot().iter("testcase")]


def failed(path):
    return {name for _, name, status in of_report(path) if status == "fail"}


def cases(folder):
    """The same of all reports. "again": it failed, and passed by itself."""
    for path in sorted(folder.glob("*.xml")):
        if path.stem.endswith(AGAIN):
            continue
        second = path.with_stem(path.stem + AGAIN)
        good = {name for _, name, status in of_report(second) if status == "run"}
        for seconds, name, status in of_report(path):
            shown = name if path.stem in ("mta", "unit") else f"{name} ({path.stem})"
            yield seconds, shown, "again" if status == "fail" and name in good else status


def main(folder):
    stages = folder / "stages"
    if stages.exists():
        print("\nStages:")
        for line in stages.read_text(encoding="utf-8").splitlines():
            seconds, name = line.split(" ", 1)
            print(f"  {int(seconds):5} s  {name}")
    found = list(cases(folder))
    if not found:
        return 0
    print(f"\nSlowest of {len(found)} tests:")
    for seconds, name, _ in sorted(found, reverse=True)[:SLOWEST]:
        print(f"  {seconds:5.0f} s  {name}")
    count = {status: sum(case[2] == status for case in found) for status in ("run", "again", "fail", "notrun")}
    skipped = sorted(name for _, name, status in found if status == "notrun")
    if skipped:
        print(f"\nDid not run: {', '.join(skipped)}")
    again = sorted(name for _, name, status in found if status == "again")
    if again:
        print(f"\nFailed beside others, passed by themselves: {', '.join(again)}")
    print(f"\n{count['run'] + count['again']} passed, {count['fail']} failed" + (f", {len(skipped)} skipped" if skipped else ""))
    return 1 if count["fail"] or skipped else 0


def main_failed(path):
    names = failed(path)
    print("|".join(sorted(names)))
    return 0 if names else 1


if len(sys.argv) == 4 and sys.argv[2] == "--failed":
    sys.exit(main_failed(pathlib.Path(sys.argv[1], sys.argv[3] + ".xml")))
sys.exit(main(pathlib.Path(sys.argv[1])))
