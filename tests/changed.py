"""Names the tests that depend on what has changed since main, parted by "|": changed.py BUILD-FOLDER. The build must be
up to date. What counts: commits since the branch left main, changes not committed, new files."""

import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
BUILD = pathlib.Path(sys.argv[1]).resolve()

# A program, and what it is linked with, by the objects' folders.
PROGRAM = "milter/CMakeFiles/replygate.dir"
POLICY = "CMakeFiles/replygate_policy.dir"
MILTER = "milter/CMakeFiles/replygate_milter.dir"
WORLD = "tests/CMakeFiles/replygate_world.dir"
SUPPORT = "tests/CMakeFiles/replygate_test_support.dir"


# Whatever is built may hang on these, and no compiler says so.
OF_ALL = (".lua", ".in", ".cmake", "CMakeLists.txt", "CMakePresets.json")


def output(*command, may_fail=False):
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if run.returncode != 0 and not may_fail:
        sys.exit(f"changed.py: {' '.join(command[:3])}: {run.stderr.strip()}")
    return run.stdout


def changed_files():
    names = set(output("git", "ls-files", "--others", "--exclude-standard").splitlines())
    names.update(output("git", "diff", "--name-only", "HEAD").splitlines())
    for main in ("origin/main", "main"):
        base = output("git", "merge-base", "HEAD", main, may_fail=True).strip()
        if base and base != output("git", "rev-parse", "HEAD").strip():
            names.update(output("git", "diff", "--name-only", base, "HEAD").splitlines())
            break
    return names


def folders_of(files):
    """The folders of the objects that were compiled from one of the files, as source or header."""
    folders = set()
    object_name = None
    for line in output("ninja", "-C", str(BUILD), "-t", "deps").splitlines():
        if line and not line.startswith(" "):
            object_name = line.split(":")[0]
        elif line.strip():
            path = pathlib.Path(BUILD, line.strip()).resolve()
            if path.is_relative_to(ROOT) and str(path.relative_to(ROOT)) in files:
                folders.add(re.match(r"(.*?CMakeFiles/[^/]+\.dir)/", object_name)[1])
    return folders


def programs_of(folders):
    """The test programs, and "replygate", that are linked with objects of these folders."""
    if POLICY in folders:
        return None
    programs = {match[1] for folder in folders if (match := re.match(r"(?:tests|milter)/CMakeFiles/(\w+)\.dir", folder))}
    queries = {WORLD: "replygate_world", SUPPORT: "replygate_test_support", MILTER: "replygate_milter"}
    for folder in folders & set(queries):
        library = f"lib{queries[folder]}.a"
        where = "milter" if folder == MILTER else "tests"
        using = output("ninja", "-C", str(BUILD), "-t", "query", f"{where}/{library}")
        programs.update(pathlib.Path(name.strip()).name for name in using.split("outputs:")[-1].splitlines() if name.strip())
    return programs


def depends(test, files, programs):
    """Whether the test runs a changed program, or reads a changed file."""
    command = test.get("command", [])
    if programs is None or any(pathlib.Path(word).name in programs for word in command if "/" in word):
        return True
    environment = [p["value"] for p in test["properties"] if p["name"] == "ENVIRONMENT"]
    if "replygate" in programs and any("REPLYGATE=" in entry for entries in environment for entry in entries):
        return True
    if test["name"] in ("tidy", "format", "docs"):
        return True
    scripts = [word for word in command if word.endswith((".py", ".sh"))]
    folders = {str(pathlib.Path(word).parent.relative_to(ROOT)) for word in scripts}
    shared = {name for name in files if str(pathlib.Path(name).parent) in folders and name.endswith(".py")}
    own = {str(pathlib.Path(word).relative_to(ROOT)) for word in scripts}
    return bool(shared & own) or any(not pathlib.Path(name).name.startswith(("test_", "check_")) for name in shared)


def main():
    files = changed_files()
    if not files:
        return
    programs = programs_of(folders_of(files))
    if any(name.endswith(OF_ALL) or name.startswith("conf/") for name in files):
        programs = None
    if any(name.startswith("tests/bad/") for name in files) and programs is not None:
        programs.add("bad_test")
    left_out = sorted(name for name in files if name.startswith(("tests/fault/", "tests/fuzz/", "packaging/systemd/")))
    if left_out:
        print(f"not tried, since only run.sh all does: {', '.join(left_out)}", file=sys.stderr)
    listed = json.loads(output("ctest", "--test-dir", str(BUILD), "--show-only=json-v1", "-LE", "fault"))
    names = [re.escape(test["name"]) for test in listed["tests"] if depends(test, files, programs)]
    print("|".join(names))


main()
