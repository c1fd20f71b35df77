#!/usr/bin/env bash
# Runs a command where /sys/fs/cgroup is version 2 alone, as systemd 256 and crun want it: unified.sh COMMAND…
# Where the host mounts version 1 or both, the command gets a mount namespace of its own.
set -euo pipefail
[ "$(stat -f -c %T /sys/fs/cgroup)" != cgroup2fs ] || exec "$@"
# shellcheck disable=SC2016
exec unshare --mount sh -c 'umount -R /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec "$@"' sh "$@"
