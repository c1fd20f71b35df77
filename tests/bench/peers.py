"""Other filters that hold a quota for each sender, each in the way its manual shows."""

import os
import shutil

RSPAMD = "rspamd, 2 workers, redis"
MAILFROMD = "mailfromd"
NAMES = [RSPAMD, MAILFROMD]

RSPAMD_CONF = """
options {{ pidfile = "{folder}/rspamd.pid"; filters = ""; tempdir = "{folder}"; }}
logging {{ type = "file"; filename = "{folder}/rspamd.log"; level = "error"; }}
modules {{ path = "/usr/share/rspamd/plugins/ratelimit.lua"; }}
ratelimit {{
  servers = "{folder}/redis.sock";
  rates {{ sender = {{ selector = "from"; bucket = {{ burst = 1000000; rate = "1000000 / 1h"; }} }} }}
}}
worker "rspamd_proxy" {{
  bind_socket = "{folder}/filter.sock mode=0666";
  milter = yes;
  count = 2;
  upstream "local" {{ default = yes; self_scan = yes; }}
}}
"""

MAILFROMD_SCRIPT = """
require 'rateok'
prog envfrom
do
  if not rateok("sender-" . $1, interval("1 hour"), 1000000)
    tempfail 450 4.7.1 "quota exceeded"
  fi
done
"""


def command(name, folder):
    """What runs the peer, at FOLDER/filter.sock. Both come from packages of those names."""
    for program in {RSPAMD: ("rspamd", "redis-server"), MAILFROMD: ("mailfromd",)}[name]:
        if not shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin"):
            raise SystemExit(f"--peers wants {program}: apt-get install --no-install-recommends rspamd redis-server mailfromd")
    return rspamd(folder) if name == RSPAMD else mailfromd(folder)


def rspamd(folder):
    (folder / "rspamd.conf").write_text(RSPAMD_CONF.format(folder=folder))
    # As root it has to be told that this is meant.
    insecure = "-i" if os.getuid() == 0 else ""
    redis = f"redis-server --port 0 --unixsocket {folder}/redis.sock --save '' --dir {folder}"
    return ["sh", "-c", f"{redis} > {folder}/redis.log & exec rspamd {insecure} -f -c {folder}/rspamd.conf"]


def mailfromd(folder):
    (folder / "filter.mf").write_text(MAILFROMD_SCRIPT)
    (folder / "state").mkdir()
    for path in (folder, folder / "state"):
        path.chmod(0o777)  # it leaves root
    return ["mailfromd", "--foreground", "--stderr", f"--state-directory={folder}/state", "-p", f"unix:{folder}/filter.sock",
            f"{folder}/filter.mf"]
