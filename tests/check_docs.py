"""Every whole policy that the documentation shows, and every shipped one, passes `replygate check --strict`."""

import pathlib
import re
import subprocess
import sys
import tempfile

binary, root = sys.argv[1], pathlib.Path(sys.argv[2])
files = [root / "conf/replygate.toml", *sorted(root.glob("conf/examples/*.toml"))]
policies = {}
for page in (root / "conf/POLICY.md", root / "README.md"):
    for number, block in enumerate(re.findall(r"```toml\n(.*?)```", page.read_text(), re.S)):
        if block.lstrip().startswith("version"):
            policies[f"{page}, block {number}"] = block
failed = 0
for path in files:
    run = subprocess.run([binary, "check", "--strict", path], capture_output=True, text=True)
    if run.returncode != 0:
        failed += 1
        print(run.stderr)
for name, text in policies.items():
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        file.write(text)
        file.flush()
        run = subprocess.run([binary, "check", "--strict", file.name], capture_output=True, text=True)
    if run.returncode != 0:
        failed += 1
        print(f"{name}:\n{run.stderr}")
total = len(policies) + len(files)
print(f"{total - failed} of {total} policies are fine")
sys.exit(1 if failed or total < 2 else 0)
