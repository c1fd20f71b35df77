"""Packages that conflict with what is installed: downloaded and unpacked below a cache folder, never installed. Needs apt-get."""

import contextlib
import fcntl
import shutil
import subprocess


@contextlib.contextmanager
def alone_at(cache):
    """One process at a time."""
    cache.mkdir(parents=True, exist_ok=True)
    with open(cache / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def unpack(cache, names):
    """The packages in CACHE/debs, and what they hold in CACHE/root."""
    debs, unfinished, root = cache / "debs", cache / "unfinished", cache / "root"
    for folder in (debs, unfinished, root):
        shutil.rmtree(folder, ignore_errors=True)
    debs.mkdir()
    download = ["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", *names]
    if subprocess.run(download, cwd=debs).returncode != 0:
        subprocess.run(["apt-get", "-qq", "update"], check=True)
        subprocess.run(download, cwd=debs, check=True)
    for deb in debs.glob("*.deb"):
        subprocess.run(["dpkg", "-x", deb, unfinished], check=True)
    unfinished.rename(root)


def install_libraries(cache, name, binary):
    """What the binary of an unpacked package is linked with, where the system lacks some of it."""
    if "not found" not in subprocess.run(["ldd", binary], capture_output=True, text=True).stdout:
        return
    deb = next((cache / "debs").glob(f"{name}_*.deb"))
    depends = subprocess.run(["dpkg-deb", "-f", deb, "Depends"], capture_output=True, text=True, check=True).stdout
    names = [part.split()[0] for part in depends.replace("|", ",").split(",") if part.strip().startswith("lib")]
    subprocess.run(["apt-get", "-qq", "install", "-y", "--no-install-recommends", *names], check=True)
