# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An engine that can limit memory, CPUs and processes, even if the lab's cgroup v2 has no
controllers.

A machine that mounts cgroup v1 has its controllers there. systemd no longer supports cgroup v1, but
dockerd and runc do: they get their own view of /sys/fs/cgroup.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager

from lab.client import Host, Lab
from lab.errors import LabError

_NEEDED = ("memory", "cpu", "cpuset", "pids", "devices")

_HAS_THEM = "docker info --format '{{.MemoryLimit}} {{.CPUCfsQuota}} {{.CPUSet}} {{.PidsLimit}}'"

_START = r"""
set -eu
cgroup=$1; shift
for name; do
    awk -v name="$name" '$1 == name && $2 && $4 {found = 1} END {exit !found}' /proc/cgroups ||
        { echo "controller $name is missing in cgroup v2 and in cgroup v1" >&2; exit 1; }
done
systemctl stop docker.socket docker.service containerd.service
awk 'NR > 1 && $2 && $4 {names[$2] = names[$2] "," $1} END {for (number in names) print substr(names[number], 2)}' \
    /proc/cgroups | while read -r names; do
    mkdir -p "/run/cgroup-v1/$names"
    mount -t cgroup -o "$names" cgroup "/run/cgroup-v1/$names"
    # A cgroup needs CPUs before its children can get any.
    path=/run/cgroup-v1/$names
    for folder in $(echo "$cgroup" | tr / ' '); do
        mkdir -p "$path/$folder"
        for file in cpuset.cpus cpuset.mems; do
            [ ! -e "$path/$file" ] || cat "$path/$file" >"$path/$folder/$file"
        done
        path=$path/$folder
    done
done
# Started this way, dockerd starts its own containerd with the same view.
systemd-run --quiet --unit=docker-limits --property=Type=notify --property=Delegate=yes \
    --property=BindPaths=/run/cgroup-v1:/sys/fs/cgroup \
    dockerd --host=unix:///run/docker.sock --cgroup-parent="/$cgroup" --exec-opt=native.cgroupdriver=cgroupfs
"""

_STOP = r"""
set -eu
docker ps --quiet | xargs --no-run-if-empty docker kill >/dev/null
systemctl stop docker-limits.service
umount /run/cgroup-v1/*
systemctl start docker.service
"""


@contextmanager
def engine_with_limits(lab: Lab, host: Host) -> Iterator[str]:
    """Run a host's engine with support for resource limits, at its usual socket, inside a `with`
    block.

    Meanwhile it has no TCP listeners. Its containers are killed at the end.

    Yields:
        The parent of its containers' cgroups in cgroup v1; empty if systemd manages the cgroups.

    Raises:
        LabError: the machine has no such controllers.
    """
    if host.run(_HAS_THEM).stdout.split() == ["true"] * 4:
        yield ""
        return
    # Below the lab's name, which is how the cleanup finds it.
    cgroup = f"{lab.paths.run.name}/{host.name}"
    host.run(f"sh -s {shlex.join([cgroup, *_NEEDED])}", input=_START)
    try:
        if host.run(_HAS_THEM).stdout.split() != ["true"] * 4:
            raise LabError(
                f"the engine of {host.name} finds no cgroup controllers", found=host.run(_HAS_THEM).stdout
            )
        yield f"/{cgroup}"
    finally:
        host.run("sh -s", input=_STOP)
