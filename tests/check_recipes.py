"""Each recipe of conf/RECIPES.md is a policy that passes `check --strict` and its own tests, and the index names each one."""

import pathlib
import re
import subprocess
import sys
import tempfile

BINARY, ROOT = sys.argv[1], pathlib.Path(sys.argv[2])
AT_LEAST = 25

page = (ROOT / "conf/RECIPES.md").read_text(encoding="utf-8")
head, *sections = re.split(r"^## ", page, flags=re.M)
site = re.search(r"```toml\n(.*?)```", head, re.S).group(1)
failures = []


def anchor(title):
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


def problem_of(recipe):
    """What is wrong with it, "" for nothing."""
    blocks = re.findall(r"```toml\n(.*?)```", recipe, re.S)
    policy = "version = 1\n" + "\n".join(([] if "[site]" in recipe else [site]) + blocks)
    if "[[test]]" not in policy:
        return "has no test"
    with tempfile.TemporaryDirectory() as folder:
        for name, text in re.findall(r"```text (\S+)\n(.*?)```", recipe, re.S):
            pathlib.Path(folder, name).write_text(text, encoding="utf-8")
        file = pathlib.Path(folder, "replygate.toml")
        file.write_text(policy, encoding="utf-8")
        for command in (["check", "--strict"], ["test"]):
            run = subprocess.run([BINARY, *command, file], capture_output=True, text=True, check=False)
            if run.returncode != 0:
                return run.stdout + run.stderr
    return ""


titles = [section.split("\n", 1)[0] for section in sections]
linked = set(re.findall(r"\]\(#([\w-]+)\)", head))
failures += [f"the index has no {title}" for title in titles if anchor(title) not in linked]
failures += [f"there is no recipe #{link}" for link in linked - {anchor(title) for title in titles}]
failures += [f"{len(titles)} recipes, fewer than {AT_LEAST}"] if len(titles) < AT_LEAST else []
for title, section in zip(titles, sections, strict=True):
    if problem := problem_of(section):
        failures.append(f"{title}:\n{problem}")
print("\n".join(failures) or f"{len(titles)} recipes are fine")
sys.exit(1 if failures else 0)
