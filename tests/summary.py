"""Says what a run of tests/run.sh has shown: summary.py FOLDER. What each stage took, the ten slowest tests, and how many
passed, failed and did not run. Exit status 1 unless all passed."""

import pathlib
import sys
import xml.etree.ElementTree as tree

SLOWEST = 10


def cases(folder):
    """Of each report: (seconds, name, status)."""
    for path in sorted(folder.glob("*.xml")):
        for case in tree.parse(path).getroot().iter("testcase"):
            name = case.get("name") if path.stem in ("mta", "unit") else f"{case.get('name')} ({path.stem})"
            yield float(case.get("time", 0)), name, case.get("status")


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
    count = {status: sum(case[2] == status for case in found) for status in ("run", "fail", "notrun")}
    skipped = sorted(name for _, name, status in found if status == "notrun")
    if skipped:
        print(f"\nDid not run: {', '.join(skipped)}")
    print(f"\n{count['run']} passed, {count['fail']} failed" + (f", {len(skipped)} skipped" if skipped else ""))
    return 1 if count["fail"] or skipped else 0


sys.exit(main(pathlib.Path(sys.argv[1])))
