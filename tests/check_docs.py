"""Every whole policy that the documentation shows, and every shipped one, passes `replygate check --strict`."""

import pathlib
import re
import subprocess
import sys
import tempfile

binary, root = sys.argv[1], pathlib.Path(sys.argv[2])
files = [root / "conf/replygate.toml", *sorted(root.glob("conf/examples/*.toml"))]
policies = {}
for page in (root / "conf/POLICY.md", root / "conf/OPERATIONS.md", root / "README.md"):
    for number, block in enumerate(re.findall(r"```toml\n(.*?)```", page.read_text(), re.S)):
        if block.lstrip().startswith("[rule.override]"):
            block = '[[rule]]\nname = "r"\nper = "user"\nlimit = "1 messages / 1h"\nreply = 452\n' + block
        if not block.lstrip().startswith("version"):
            block = "version = 1\n" + block
        if "[site]" not in block:
            block += '[site]\nrelay = "mta"\n'
        policies[f"{page}, block {number}"] = block
failed = 0
for path in files:
    run = subprocess.run([binary, "check", "--strict", path], capture_output=True, text=True)
    if run.returncode != 0:
        failed += 1
        print(run.stderr)
for name, text in policies.items():
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder, "policy.toml")
        file.write_text(text.replace("/etc/postfix/", ""))
        for name_of_list in ("blocked-senders", "virtual_domains"):
            pathlib.Path(folder, name_of_list).write_text("spammer@bad.example x\n")
        run = subprocess.run([binary, "check", "--strict", file], capture_output=True, text=True)
    if run.returncode != 0:
        failed += 1
        print(f"{name}:\n{run.stderr}")
total = len(policies) + len(files)
print(f"{total - failed} of {total} policies are fine")
sys.exit(1 if failed or total < 2 else 0)
