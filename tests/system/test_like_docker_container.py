# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tasks written for docker_container make the same containers when they are handed to wormhole_container, but for the wiring."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lab import Host, Lab
from lab.limits import engine_with_limits
from playbooks import Controller
from reference import reference_collections

ROOT = Path(__file__).resolve().parents[2]
PLAY = ROOT / "tests/system/plays/like_docker_container.yml"
SOCKET = "/var/run/docker.sock"


@pytest.mark.parametrize("release", [12, 13])
def test_containers_differ_in_the_wiring_only(
    release: Any, lab: Lab, collections: Path, fresh_host: Callable[..., Host], tmp_path: Path
) -> None:
    reference = reference_collections(ROOT / ".dev/cache/reference")
    controller = Controller(lab, tmp_path, Path(f"{collections}:{reference}"))
    host = fresh_host(release)
    with engine_with_limits(lab, host):
        run = controller.playbook(str(PLAY), host)
    found = {task.name: task for task in run.tasks}
    theirs = json.loads(found["Look at them"].result["stdout"])
    ours = json.loads(found["Look at them again"].result["stdout"])
    assert [container["Name"] for container in ours] == [container["Name"] for container in theirs]
    assert len(ours) == 8
    for reference_container, wormhole in zip(theirs, ours, strict=True):
        assert wiring_of(wormhole) == WIRED, wormhole["Name"]
        assert comparable(without_wiring(wormhole)) == comparable(reference_container), wormhole["Name"]


WIRED = {
    "env": ["DOCKER_HOST"],
    "labels": ["wormhole.docker.managed", "wormhole.docker.transport"],
    "hosts": ["host.docker.internal:host-gateway"],
    "binds": 1,
    "groups": 1,
}
"""What the unix transport adds to each."""


def wiring_of(container: dict[str, Any]) -> dict[str, Any]:
    """What a container has of the wiring, and how many groups are numbers that no case asks for."""
    config, host = container["Config"], container["HostConfig"]
    return {
        "env": [item.partition("=")[0] for item in config["Env"] if item.startswith("DOCKER_")],
        "labels": sorted(name for name in config["Labels"] if name.startswith("wormhole.docker.")),
        "hosts": [item for item in host["ExtraHosts"] or () if item.startswith("host.docker.internal")],
        "binds": len([bind for bind in host["Binds"] or () if SOCKET in bind]),
        "groups": len(set(host["GroupAdd"] or ()) - {"77"}),
    }


def without_wiring(container: dict[str, Any]) -> dict[str, Any]:
    """The inspection of a wormhole, as if nobody had wired it."""
    container = copy.deepcopy(container)
    config, host = container["Config"], container["HostConfig"]
    config["Env"] = [item for item in config["Env"] if not item.startswith("DOCKER_")]
    config["Labels"] = {n: v for n, v in config["Labels"].items() if not n.startswith("wormhole.docker.")}
    host["ExtraHosts"] = [i for i in host["ExtraHosts"] or () if not i.startswith("host.docker.internal")]
    host["Binds"] = [bind for bind in host["Binds"] or () if SOCKET not in bind]
    host["GroupAdd"] = [group for group in host["GroupAdd"] or () if group == "77"]
    container["Mounts"] = [mount for mount in container["Mounts"] if mount["Destination"] != SOCKET]
    return container


def comparable(container: dict[str, Any]) -> dict[str, Any]:
    """What of an inspection was asked for: neither identifiers nor addresses that the engine hands out, nor the order of sets."""
    identifier = container["Id"]
    networks = {
        name: {
            "Aliases": sorted(alias for alias in endpoint["Aliases"] or () if alias not in identifier),
            **{key: endpoint.get(key) for key in ("IPAMConfig", "Links", "DriverOpts")},
        }
        for name, endpoint in container["NetworkSettings"]["Networks"].items()
    }
    config = {key: value for key, value in container["Config"].items() if value != identifier[:12]}
    return {
        "Config": plain(config),
        "HostConfig": plain(container["HostConfig"]),
        "Networks": networks,
        # Its mode is what Binds says already.
        "Mounts": sorted(({**mount, "Mode": ""} for mount in container["Mounts"]), key=str),
        **{key: container[key] for key in ("Path", "Args", "Image", "Platform")},
    }


SPELLED_OUT = {"AttachStdin", "AttachStdout", "AttachStderr", "StdinOnce"}
"""What docker_container says of the client that starts a container, and no client is attached to."""


def plain(section: dict[str, Any]) -> dict[str, Any]:
    """A section without what says nothing, with lists whose order says nothing sorted, and defaults left out.

    docker_container spells out that a volume is writable.
    """
    section = {key: value for key, value in section.items() if key not in SPELLED_OUT}
    if section.get("Binds"):
        section["Binds"] = [bind.removesuffix(":rw") for bind in section["Binds"]]
    sorted_lists = ("Env", "Binds", "ExtraHosts", "GroupAdd", "Mounts")
    kept = {key: value for key, value in section.items() if value not in (None, [], {}, "", False)}
    return {key: sorted(value, key=str) if key in sorted_lists else value for key, value in kept.items()}
