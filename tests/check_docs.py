"""Every whole policy that the documentation shows, and every shipped one, passes `replygate check --strict`."""

import pathlib
import re
import subprocess
import sys
import tempfile

binary, root = sys.argv[1], pathlib.Path(sys.argv[2])
policies = {str(path): path.read_text() for path in [root / "conf/replygate.toml", *root.glob("conf/examples/*.toml")]}
for page in (root / "conf/POLICY.md", root / "README.md"):
    for number, block in enumerate(re.findall(r"```toml\n(.*?)```", page.read_text(), re.S)):
        if block.lstrip().startswith("version"):
            policies[f"{page}, block {number}"] = block
failed = 0
for name, text in policies.items():
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        file.write(text)
        file.flush()
        run = subprocess.run([binary, "check", "--strict", file.name], capture_output=True, text=True)
    if run.returncode != 0:
        failed += 1
        print(f"{name}:\n{run.stderr}")
print(f"{len(policies) - failed} of {len(policies)} policies are fine")
sys.exit(1 if failed or not policies else 0)
