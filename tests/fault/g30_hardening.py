"""G30, and what of G26 a running process shows: the shipped unit and binary: g30_hardening.py BINARY UNIT."""

import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

binary, unit = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
good = True


def report(id, what, figure, limit, passed):
    global good
    good = good and passed
    print(f"{id:<4} {what:<58} {figure:>16}  {limit:<12} {'pass' if passed else 'FAIL'}", flush=True)


def run(*words):
    return subprocess.run(words, capture_output=True, text=True).stdout


def check_binary():
    dynamic, header, segments = run("readelf", "-dW", binary), run("readelf", "-hW", binary), run("readelf", "-lW", binary)
    symbols = run("readelf", "-sW", "--dyn-syms", binary)
    stack = next((line for line in segments.splitlines() if "GNU_STACK" in line), "")
    writable_code = [line for line in segments.splitlines() if "LOAD" in line and "RWE" in line]
    for what, passed in (
        ("position independent", "DYN (" in header and "PIE" in dynamic),
        ("RELRO", "GNU_RELRO" in segments),
        ("BIND_NOW", "BIND_NOW" in dynamic or "NOW" in dynamic),
        ("stack not executable", "RWE" not in stack and stack),
        ("nothing both writable and executable", not writable_code),
        ("stack protector", "__stack_chk_fail" in symbols),
        ("FORTIFY", re.search(r"__\w+_chk", symbols)),
        ("assertions of libstdc++", "__glibcxx_assert_fail" in symbols),
    ):
        report("G30", f"binary: {what}", "yes" if passed else "no", "yes", bool(passed))


def check_unit():
    if shutil.which("systemd-analyze") is None:
        print("G30  systemd-analyze is not here; the unit is not judged")
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(folder, unit.name)
        copy.write_text(unit.read_text().replace("/usr/bin/replygate", "/bin/true"))
        said = run("systemd-analyze", "security", "--offline=yes", copy)
    level = re.search(r"exposure level for .*: ([0-9.]+)", said)
    figure = float(level.group(1)) if level else 9.9
    report("G30", "unit: exposure", figure, "<= 1.2", figure <= 1.2)
    text = unit.read_text()
    for setting in ("User=replygate", "UMask=0077", "StateDirectoryMode=0700", "NoNewPrivileges=yes", "CapabilityBoundingSet=\n"):
        report("G30", f"unit: {setting.strip()}", "yes" if setting in text else "no", "yes", setting in text)


def start(folder, password):
    (folder / "password").write_text(password)
    policy = folder / "policy.toml"
    policy.write_text(
        f'version = 1\n[milter]\nlisten = "unix:{folder}/milter.sock"\n[control]\nlisten = "unix:{folder}/control.sock"\n'
        f'[metrics]\nlisten = "unix:{folder}/metrics.sock"\n[log]\ndecisions = "file:{folder}/log.json"\n'
        f'[store]\nbackend = "redis"\nservers = ["inet:1@127.0.0.1"]\npassword_file = "{folder}/password"\n'
        '[[rule]]\nname = "r"\nper = "sender"\nlimit = "1 recipients / 1h"\nreply = 452\n'
    )
    words = [str(binary), "run", "--as-root", "-c", str(policy)]
    if shutil.which("strace"):
        words = ["strace", "-f", "-qq", "-e", "trace=execve,fork,vfork,clone,clone3,ptrace,mount,setuid,setgid", "-o", f"{folder}/trace", *words]
    errors = open(folder / "errors", "wb")
    process = subprocess.Popen(words, stdout=errors, stderr=errors, env={**os.environ, "STATE_DIRECTORY": str(folder)})
    deadline = time.monotonic() + 20
    while b"milter at" not in (folder / "errors").read_bytes():
        assert process.poll() is None and time.monotonic() < deadline, (folder / "errors").read_text()
        time.sleep(0.05)
    return process


def ask_http(path):
    client = socket.socket(socket.AF_UNIX)
    client.connect(str(path))
    client.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    answer = b""
    while chunk := client.recv(65536):
        answer += chunk
    return answer.decode()


def check_process():
    password = "s3cret-that-nobody-may-see"
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        process = start(folder, password)
        refused = subprocess.run([str(binary), "run", "-c", f"{folder}/policy.toml"], capture_output=True, text=True)
        report("G30", "run by root: exit status", refused.returncode, "= 64", os.geteuid() != 0 or refused.returncode == 64)
        control = ["--socket", f"{folder}/control.sock"]
        said = ask_http(folder / "metrics.sock")
        for words in (["status", "--json"], ["rules"], ["reload"], ["quota", "show", "a@b.example"], ["top", "--once"]):
            said += run(binary, *words, *control)
        said += run(binary, "check", "--show", folder / "policy.toml") + run("ps", "-ef")
        for socket_name in ("milter.sock", "control.sock", "metrics.sock"):
            mode = oct((folder / socket_name).stat().st_mode & 0o777)
            report("G30", f"mode of {socket_name}", mode, "0o660", mode == "0o660")
        pids = run("pgrep", "-f", f"{binary} run --as-root -c {folder}").split()
        os.kill(int(pids[-1]), signal.SIGTERM)
        process.wait(timeout=30)
        said += (folder / "errors").read_text() + (folder / "log.json").read_text()
        report("G26", "secrets in logs, metrics, answers or ps", said.count(password), "= 0", password not in said)
        if (folder / "trace").exists():
            trace = (folder / "trace").read_text()
            calls = [line for line in trace.splitlines() if re.search(r"\b(execve|v?fork|ptrace|mount|setuid|setgid)\(", line)]
            forks = [line for line in trace.splitlines() if "clone" in line and "CLONE_THREAD" not in line and "(" in line]
            report("G26", "programs started, forks, ptrace, mount after start", len(calls) - 1 + len(forks), "= 0",
                   len(calls) == 1 and not forks)


check_binary()
check_unit()
check_process()
sys.exit(0 if good else 1)
