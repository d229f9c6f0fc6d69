# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""docker_container tasks create the same containers with wormhole_container, except the wiring."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from lab import Host, Lab
from lab.limits import engine_with_limits
from lab.spec import RELEASES
from playbooks import TIMEOUT, Controller, Run
from reference import reference_collections

ROOT = Path(__file__).resolve().parents[2]
PLAYS = ROOT / "tests/system/plays"
REFERENCE = ROOT / ".dev/cache/reference"
SOCKET = "/var/run/docker.sock"


@pytest.mark.parametrize("release", RELEASES)
def test_containers_differ_in_the_wiring_only(
    release: Any, lab: Lab, collections: Path, fresh_host: Callable[..., Host], tmp_path: Path
) -> None:
    controller = Controller(lab, tmp_path, Path(f"{collections}:{reference_collections(REFERENCE)}"))
    host = fresh_host(release)
    check_unsupported_limits(controller, host)
    check_life(controller.playbook(str(PLAYS / "live_like_docker_container.yml"), host))
    with engine_with_limits(lab, host):
        check_supported_limits(controller, host)
        run = controller.playbook(str(PLAYS / "like_docker_container.yml"), host)
    found = {task.name: task for task in run.tasks}
    theirs = json.loads(found["Inspect the containers of docker_container"].result["stdout"])
    ours = json.loads(found["Inspect the containers of wormhole_container"].result["stdout"])
    assert [container["Name"] for container in ours] == [container["Name"] for container in theirs]
    assert len(ours) == 10
    for reference_container, wormhole in zip(theirs, ours, strict=True):
        assert wiring_of(wormhole) == WIRED, wormhole["Name"]
        assert comparable(without_wiring(wormhole)) == comparable(reference_container), wormhole["Name"]


# -- steps -----------------------------------------------------------------------------------------


def check_life(run: Run) -> None:
    """Compare what both modules report after each step, and what they leave."""
    theirs, ours = (
        next(task.items for task in run.tasks if task.name == f"Change a container with {module}")
        for module in ("docker_container", "wormhole_container")
    )
    assert len(theirs) == len(ours) == 20
    for number, (reference, item) in enumerate(zip(theirs, ours, strict=True)):
        assert summary(item) == summary(reference), (number, item["item"], item.get("reasons"))
        if item["item"].get("paused") and item["container"]["State"]["Paused"]:
            assert item["wormhole"]["proved"], item["item"]


def summary(item: Mapping[str, Any]) -> dict[str, Any]:
    container = item["container"]
    return {
        "changed": item["changed"],
        **{key: container["State"][key] for key in ("Running", "Paused")},
        "image": container["Config"]["Image"],
        "user": container["Config"]["User"],
        **{key: container["HostConfig"][key] for key in ("NetworkMode", "PortBindings")},
    }


# -- limits that the kernel does not support -------------------------------------------------------


WARNING = "limited: the kernel of this host does not support memory, memory_swap, cpus,"


def run_limited(
    controller: Controller, host: Host, *runs: Mapping[str, Any]
) -> tuple[list[Mapping[str, Any]], bool]:
    """Run a wormhole with limits once for each of these settings.

    Returns:
        The results, and whether Ansible showed the warning.
    """
    play = str(PLAYS / "unsupported_limits.yml")
    run = controller.playbook(play, host, "-e", json.dumps({"runs": runs}))
    items = next(task.items for task in run.tasks if task.name == "Run it, in check mode first")
    # Ansible wraps warnings.
    return items, WARNING in " ".join(run.stdout.split())


def check_unsupported_limits(controller: Controller, host: Host) -> None:
    """A task fails with limits that the kernel does not support, unless a warning will do."""
    lacking = host.run("docker info --format '{{.MemoryLimit}}'").stdout.strip() == "false"
    warn = {"limits": "warn"}
    (default, foreseen, made), warned = run_limited(controller, host, {}, {**warn, "check": True}, warn)
    (again,), warned_again = run_limited(controller, host, warn)
    assert ("msg" in default) == lacking
    if lacking:
        assert "does not support memory, memory_swap, cpus" in default["msg"]
        assert "unsupported_limits: warn" in default["msg"]
        assert (foreseen["changed"], made["changed"], again["changed"]) == (True, True, False)
        assert foreseen["diff"] == made["diff"]
        host_config = made["container"]["HostConfig"]
        assert (host_config["Memory"], host_config["NanoCpus"], host_config["OomScoreAdj"]) == (0, 0, 5)
    assert (warned, warned_again) == (lacking, lacking)


def check_supported_limits(controller: Controller, host: Host) -> None:
    """Once the kernel supports them, the limits are set."""
    (set_now, again), warned = run_limited(controller, host, {"limits": "warn"}, {"limits": "warn"})
    host_config = set_now["container"]["HostConfig"]
    found = host_config["Memory"], host_config["NanoCpus"], host_config["PidsLimit"]
    assert found == (2**26, 5 * 10**8, 100)
    assert not again["changed"]
    assert not warned


# -- inspections -----------------------------------------------------------------------------------

WIRED = {
    "env": ["DOCKER_CONTEXT", "DOCKER_HOST"],
    "labels": ["wormhole.docker.managed", "wormhole.docker.transport"],
    "hosts": ["host.docker.internal:host-gateway"],
    "binds": 1,
    "groups": 1,
}
"""What the unix transport adds to each container."""


DIFFERENT: Mapping[str, Mapping[str, Any]] = {
    "image_comparison": {"default": "current-image"},
    "docker_host": {"default": "unix:///var/run/docker.sock", "aliases": []},
}
"""Options with another default, or without an alias that docker_container has."""
REMOTE = {
    *("api_version", "ca_path", "client_cert", "client_key", "tls", "tls_hostname", "use_ssh_client"),
    "validate_certs",
}
"""Options of docker_container for an engine on another host. This module needs its engine's host."""


def test_every_option_of_docker_container_is_an_option_with_its_type_default_and_values(
    collections: Path, tmp_path: Path
) -> None:
    theirs, ours = documented_options(Path(f"{collections}:{reference_collections(REFERENCE)}"), tmp_path)
    assert set(theirs) - set(ours) == REMOTE
    for name in set(theirs) & set(ours):
        assert shape(ours[name]) == {**shape(theirs[name]), **DIFFERENT.get(name, {})}, name


def documented_options(path: Path, home: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the options of docker_container and wormhole_container."""
    names = "community.docker.docker_container", "wormhole.docker.wormhole_container"
    command = [str(Path(sys.executable).with_name("ansible-doc")), "--json", "--type", "module", *names]
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(path), "HOME": str(home)}
    done = subprocess.run(
        command, env=environment, check=True, capture_output=True, text=True, timeout=TIMEOUT
    )
    found = json.loads(done.stdout)
    theirs, ours = (found[name]["doc"]["options"] for name in names)
    return theirs, ours


def shape(option: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a task depends on: type, default, values, other names and suboptions."""
    # npipe is a type of mount on Windows.
    choices = sorted(str(choice) for choice in option.get("choices") or () if choice != "npipe")
    return {
        **{key: option.get(key) for key in ("type", "elements", "default", "required")},
        "required": bool(option.get("required")),
        "choices": choices,
        "aliases": sorted(option.get("aliases") or ()),
        "suboptions": {name: shape(part) for name, part in (option.get("suboptions") or {}).items()},
    }


def wiring_of(container: dict[str, Any]) -> dict[str, Any]:
    """Return a container's wiring, and the number of numeric groups that no case requests."""
    config, host = container["Config"], container["HostConfig"]
    return {
        "env": [item.partition("=")[0] for item in config["Env"] if item.startswith("DOCKER_")],
        "labels": sorted(name for name in config["Labels"] if name.startswith("wormhole.docker.")),
        "hosts": [item for item in host["ExtraHosts"] or () if item.startswith("host.docker.internal")],
        "binds": len([bind for bind in host["Binds"] or () if SOCKET in bind]),
        "groups": len(set(host["GroupAdd"] or ()) - {"77"}),
    }


def without_wiring(container: dict[str, Any]) -> dict[str, Any]:
    """Return the inspection of a wormhole without its wiring."""
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
    """Return the requested part of an inspection, with sets sorted.

    IDs and addresses that the engine assigns are omitted.
    """
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
        "Mounts": sorted(map(plain_mount, container["Mounts"]), key=str),
        **{key: container[key] for key in ("Path", "Args", "Image", "Platform")},
    }


def plain_mount(mount: Mapping[str, Any]) -> dict[str, Any]:
    """Return a mount without the name of an anonymous volume, and without its mode.

    Binds contains the mode already.
    """
    anonymous = len(mount.get("Name", "")) == 64
    return {**mount, "Mode": "", **({"Name": "", "Source": ""} if anonymous else {})}


SPELLED_OUT = {"AttachStdin", "AttachStdout", "AttachStderr", "StdinOnce"}
"""Options of docker_container on attached streams, which no client is attached to."""


def plain(section: dict[str, Any]) -> dict[str, Any]:
    """Return a section without empty values and defaults, and with unordered lists sorted.

    docker_container states that a volume is writable, which is the default.
    """
    section = {key: value for key, value in section.items() if key not in SPELLED_OUT}
    if section.get("Binds"):
        section["Binds"] = [bind.removesuffix(":rw") for bind in section["Binds"]]
    sorted_lists = ("Env", "Binds", "ExtraHosts", "GroupAdd", "Mounts")
    kept = {key: value for key, value in section.items() if value not in (None, [], {}, "", False)}
    return {key: sorted(value, key=str) if key in sorted_lists else value for key, value in kept.items()}
