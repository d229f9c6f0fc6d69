# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""PID 1 of the lab: creates its network, starts its engine, and answers requests on the control
socket.

It runs in its own network, mount, PID and cgroup namespaces. When it ends, for whatever reason, the
kernel removes every process, mount, interface and packet-filter rule of the lab.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lab import access, cgroups, images, network
from lab.engine import Engine
from lab.errors import LabError
from lab.hosts import Hosts
from lab.paths import LabPaths
from lab.process import ip_batch, run
from lab.spec import HostSpec

Request = dict[str, Any]

_SETTINGS = {
    # Disabled, so that nothing is routed to fc00::/7. A kernel without IPv6 has no such settings.
    "ipv6/conf/default/disable_ipv6": "1",
    "ipv6/conf/all/disable_ipv6": "1",
    "ipv4/ip_forward": "1",
    # Answer every packet that cannot be delivered with an error at once, instead of one a second.
    "ipv4/icmp_ratelimit": "0",
}


def main() -> None:
    """Entry point: the guardian runs `python -m lab.supervisor ROOT SUBNET CONTROLLER_NETNS_FD`."""
    paths, subnet, outside = LabPaths(Path(sys.argv[1])), network.Subnet.parse(sys.argv[2]), int(sys.argv[3])
    try:
        enter_namespaces(paths)
        make_network(paths, subnet, outside)
    except LabError as error:
        sys.exit(str(error))
    child = os.fork()
    if child == 0:
        try:
            serve(paths, subnet)
        except LabError as error:
            print(error, flush=True)
        os._exit(1)
    # PID 1 inherits every orphan of the lab and must reap it.
    while os.wait()[0] != child:
        pass
    sys.exit(1)


def enter_namespaces(paths: LabPaths) -> None:
    """Complete the namespaces that `unshare` created: mount the lab's own /proc and cgroup tree."""
    run(["mount", "-t", "proc", "proc", "/proc"])
    cgroups.enter(paths.run.name)


def make_network(paths: LabPaths, subnet: network.Subnet, outside: int) -> None:
    """Create the hosts' bridge, the link to the machine, and routes that keep packets inside."""
    for setting, value in _SETTINGS.items():
        path = Path("/proc/sys/net") / setting
        if path.exists():
            path.write_text(value)
    ip_batch(
        [
            "link set lo up",
            f"link add {network.BRIDGE} type bridge",
            f"address add {subnet.gateway}/24 dev {network.BRIDGE}",
            f"link set {network.BRIDGE} up",
            f"link add uplink type veth peer name {paths.link}",
            f"link set uplink master {network.BRIDGE} up",
            *(f"route add unreachable {destination}" for destination in network.PRIVATE_RANGES),
        ]
    )
    # The other end of the link is in the machine's namespace. It is removed together with this end.
    namespace = f"/proc/self/fd/{outside}"
    run(["ip", "link", "set", paths.link, "netns", namespace], pass_fds=[outside])
    ip_batch(
        [
            f"link set {paths.link} addrgenmode none",
            f"address add {subnet.controller}/24 dev {paths.link}",
            f"link set {paths.link} up",
        ],
        namespace=namespace,
        pass_fds=[outside],
    )


def serve(paths: LabPaths, subnet: network.Subnet) -> None:
    """Start the engine, then answer requests until the guardian ends the lab."""
    engine = Engine(paths)
    dockerd = engine.start()
    engine.remove_stale_containers()
    images.remove_stale(engine, paths)
    shutil.rmtree(paths.hosts, ignore_errors=True)
    access.ensure_key(paths.private_key)
    access.write_known_hosts(paths, [])
    access.write_inventory(paths, [])
    hosts = Hosts(paths, engine, subnet)

    listener = socket.socket(socket.AF_UNIX)
    draft = paths.run / "control.draft"
    listener.bind(str(draft))
    listener.listen(16)
    draft.rename(paths.control_socket)  # from here on, the socket exists and is served
    threading.Thread(target=_accept, args=(listener, hosts), daemon=True).start()
    dockerd.wait()
    raise LabError("the lab's Docker engine ended", found=f"see {paths.engine_log}")


def _accept(listener: socket.socket, hosts: Hosts) -> None:
    while True:
        connection, _address = listener.accept()
        threading.Thread(target=_answer, args=(connection, hosts), daemon=True).start()


def _answer(connection: socket.socket, hosts: Hosts) -> None:
    """Answer one request: lines of progress, then a result or an error."""
    with connection, connection.makefile("rw", encoding="utf-8") as stream:

        def send(kind: str, value: Any) -> None:
            stream.write(json.dumps({kind: value}) + "\n")
            stream.flush()

        try:
            line = stream.readline()
            if not line:
                return  # a client only checked whether the lab is running
            request: Request = json.loads(line)
            try:
                send(
                    "result",
                    _OPERATIONS[request["operation"]](hosts, request, lambda text: send("progress", text)),
                )
            except LabError as error:
                send("error", error.to_json())
        except (OSError, ValueError) as error:
            print(f"a request was interrupted: {error}", flush=True)


def _add(hosts: Hosts, request: Request, progress: Callable[[str], None]) -> Any:
    return hosts.add(HostSpec(request["release"], request["variant"]), progress).to_json()


def _build(hosts: Hosts, request: Request, progress: Callable[[str], None]) -> Any:
    hosts.build(HostSpec(request["release"], request["variant"]), progress)


def _list(hosts: Hosts, request: Request, progress: Callable[[str], None]) -> Any:
    return [{**host.to_json(), "up": hosts.is_up(host.name)} for host in hosts.all()]


def _reboot(hosts: Hosts, request: Request, progress: Callable[[str], None]) -> Any:
    hosts.reboot(request["name"], request["power_cut"])


def _destroy(hosts: Hosts, request: Request, progress: Callable[[str], None]) -> Any:
    hosts.destroy(request["name"])


def _authorize(hosts: Hosts, request: Request, progress: Callable[[str], None]) -> Any:
    hosts.authorize(request["name"], request["public_key"])


_OPERATIONS: dict[str, Callable[[Hosts, Request, Callable[[str], None]], Any]] = {
    "add": _add,
    "build": _build,
    "list": _list,
    "reboot": _reboot,
    "destroy": _destroy,
    "authorize": _authorize,
}

if __name__ == "__main__":
    main()
