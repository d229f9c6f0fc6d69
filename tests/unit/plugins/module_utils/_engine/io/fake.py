# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Long because it is one engine: its calls share their state and each other's defaults.
"""A Docker engine in memory, for tests of everything that talks to one.

It answers like a real engine where that matters to the collection: names are unique, the image and
the engine's defaults fill in what a body omits, a program that ends leaves its exit code, a host
port is given away once. The contract in ``contract.py`` runs against this fake and against real
engines, to keep the fake realistic.
"""

from __future__ import annotations

import copy
import hashlib
import ipaddress
import itertools
from typing import Any, Dict, List, Mapping, Optional

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import EngineUnavailable

IMAGE = "wormhole-lab/busybox:1"
NONROOT_IMAGE = "wormhole-lab/nonroot:1"

PARAMETERS = {
    "name": "agent",
    "state": "started",
    "image": IMAGE,
    "pull": "missing",
    "transport": "tls",
    "certificate_path": "/certs",
    "port": 2376,
    "recreate": False,
    "adopt": False,
    "verify": True,
}
"""Of the module, where a test says nothing else."""
PASSWD = b"root:x:0:0:root:/root:/bin/sh\nci:x:1234:1234:ci:/home/ci:/bin/sh\n"
GROUP = b"root:x:0:\nci:x:1234:\nextra:x:77:ci\n"

_BRIDGES = {"bridge": "172.17.0", "contract": "172.30.0"}
_HOST_CONFIG = {
    "AutoRemove": False,
    "Binds": None,
    "ExtraHosts": None,
    "GroupAdd": None,
    "Memory": 0,
    "MemorySwap": 0,
    "NetworkMode": "default",
    "PortBindings": None,
    "Privileged": False,
    "PublishAllPorts": False,
    "ReadonlyRootfs": False,
    "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
    "ShmSize": 67108864,
}
_CONFIG = {
    "Cmd": None,
    "Domainname": "",
    "Entrypoint": None,
    "Env": None,
    "Labels": {},
    "OnBuild": None,
    "Tty": False,
    "User": "",
    "Volumes": None,
    "WorkingDir": "",
}


class FakeEngine:
    """See :class:`_engine.port.EnginePort`.

    Attributes:
        images: inspections of local images by reference.
        registry: inspections of images that can be pulled, by reference.
        files: of containers, by path.
        calls: what changed something or tried to, in order: method and first argument.
        failures: errors to raise, by method, in the order of its calls; None: the call succeeds.
        security: the engine's security options.
        memory_limit: whether the kernel can limit memory; the engine discards such limits if not.
        log: what every container has written.
        exit_code: with which a container ends that is waited for.
        api_version: of the engine.
    """

    def __init__(self) -> None:
        self.images = {
            IMAGE: make_image("busybox"),
            NONROOT_IMAGE: make_image("nonroot", User="1234:1234"),
        }
        self.registry: Dict[str, Dict[str, Any]] = {}
        self.files: Dict[str, bytes] = {"/etc/passwd": PASSWD, "/etc/group": GROUP}
        self.calls: List[tuple[str, str]] = []
        self.failures: Dict[str, List[Optional[Exception]]] = {}
        self.security: List[str] = ["name=seccomp,profile=default"]
        self.memory_limit = True
        self.log = ""
        self.exit_code = 0
        self.api_version = "1.41"
        self._containers: Dict[str, Dict[str, Any]] = {}
        self._addresses: Dict[str, Dict[str, str]] = {}
        self._networks = [make_network(name, prefix) for name, prefix in _BRIDGES.items()]
        self._networks += [make_network("host", driver="host"), make_network("none", driver="null")]
        self._counter = itertools.count(1)
        self._nanoseconds = itertools.count(1)

    # -- what is there --

    def info(self) -> Dict[str, Any]:
        return {
            "SecurityOptions": list(self.security),
            "MemoryLimit": self.memory_limit,
            "ServerVersion": "20.10.24",
            "Name": "fake",
        }

    def version(self) -> Dict[str, Any]:
        return {"Version": "20.10.24", "ApiVersion": self.api_version}

    def networks(self) -> List[Dict[str, Any]]:
        return copy.deepcopy(self._networks)

    def containers(
        self, *, labels: Mapping[str, Optional[str]], running_only: bool = False
    ) -> List[Dict[str, Any]]:
        return [
            {
                "Id": c["Id"],
                "Names": [c["Name"]],
                "Labels": c["Config"]["Labels"],
                "State": c["State"]["Status"],
                "Mounts": [
                    {"Type": "bind", "Source": bind.split(":")[0], "Destination": bind.split(":")[1]}
                    for bind in c["HostConfig"]["Binds"] or ()
                ],
            }
            for c in self._containers.values()
            if all(
                key in c["Config"]["Labels"] and value in (None, c["Config"]["Labels"][key])
                for key, value in labels.items()
            )
            and (c["State"]["Running"] or not running_only)
        ]

    def find_container(self, container: str) -> Optional[Dict[str, Any]]:
        found = self._search(container)
        return copy.deepcopy(found)

    def find_image(self, reference: str) -> Optional[Dict[str, Any]]:
        by_id = {image["Id"]: image for image in self.images.values()}
        return copy.deepcopy(self.images.get(reference) or by_id.get(reference))

    def registry_digest(self, reference: str) -> str:
        return str(self._from_registry(reference)["RepoDigests"][0].partition("@")[2])

    def container_logs(self, container: str, *, tail: Optional[int]) -> str:
        self._require(container, "reading the log of")
        return "".join(self.log.splitlines(keepends=True)[-(tail or 0) :])

    def wait_container(self, container: str) -> int:
        found = self._require(container, "waiting for")
        if found["State"]["Running"]:
            found["State"] = _state("exited", code=self.exit_code)
        return int(found["State"]["ExitCode"])

    def read_container_file(self, container: str, path: str) -> Optional[bytes]:
        self._require(container, "reading a file of")
        return self.files.get(path)

    # -- what changes it --

    def pull_image(self, reference: str, *, platform: str = "") -> None:
        self._note("pull_image", reference)
        self.images[reference] = self._from_registry(reference)

    def create_container(self, name: str, body: Mapping[str, Any], *, platform: str = "") -> str:
        self._note("create_container", name)
        if self._search(name) is not None:
            raise EngineUnavailable(
                f"creating the container {name}", found=f'The name "/{name}" is already in use'
            )
        image = self.find_image(body["Image"])
        if image is None:
            raise EngineUnavailable(f"creating the container {name}", found=f"No such image: {body['Image']}")
        self._refuse_discarded(f"creating the container {name}", body.get("HostConfig", {}))
        identifier = hashlib.sha256(str(next(self._counter)).encode()).hexdigest()
        self._containers[identifier] = self._inspection(identifier, name, copy.deepcopy(dict(body)), image)
        return identifier

    def update_container(self, container: str, body: Mapping[str, Any]) -> None:
        self._note("update_container", container)
        host_config = self._require(container, "updating")["HostConfig"]
        self._refuse_discarded(f"updating the container {container}", body)
        memory, swap = body.get("Memory", 0), host_config["MemorySwap"]
        if memory and not body.get("MemorySwap") and 0 < swap < memory:
            raise EngineUnavailable(
                f"updating the container {container}",
                found="Memory limit should be smaller than already set memoryswap limit",
            )
        policy = {"MaximumRetryCount": 0, **body["RestartPolicy"]} if "RestartPolicy" in body else None
        self._refuse_conflict(container, host_config, body)
        host_config.update({key: value for key, value in body.items() if value})
        if policy:
            host_config["RestartPolicy"] = policy

    def start_container(self, container: str) -> None:
        self._note("start_container", container)
        found = self._require(container, "starting")
        if found["State"]["Status"] in ("removing", "dead"):
            raise EngineUnavailable(
                f"starting the container {container}",
                found="container is marked for removal and cannot be started",
            )
        if found["State"]["Paused"]:
            raise EngineUnavailable(
                f"starting the container {container}",
                found="cannot start a paused container, try unpause instead",
            )
        if found["State"]["Running"]:
            return
        program = (found["Config"]["Entrypoint"] or found["Config"]["Cmd"] or [""])[0]
        if program == "nosuch":
            raise EngineUnavailable(
                f"starting the container {container}", found="executable file not found in $PATH"
            )
        self._refuse_former_networks(found)
        self._take_ports(found)
        for name, address in self._addresses.pop(found["Id"], {}).items():
            if name in found["NetworkSettings"]["Networks"]:
                found["NetworkSettings"]["Networks"][name]["MacAddress"] = address
        found["State"] = _state("running", pid=4242)
        if program == "false" and found["HostConfig"]["AutoRemove"]:
            del self._containers[found["Id"]]
        elif program == "false":
            found["State"] = _state("exited", code=1)
            if found["HostConfig"]["RestartPolicy"]["Name"] in ("always", "unless-stopped", "on-failure"):
                found["State"] = {**_state("restarting", code=1), "Restarting": True, "Running": True}
                found["RestartCount"] = 1

    def stop_container(self, container: str, *, timeout: Optional[int] = None) -> None:
        self._note("stop_container", container)
        found = self._search(container)
        if found is not None and found["State"]["Running"]:
            found["State"] = {**_state("exited", code=137), "FinishedAt": self._now()}
            # Only a container that runs, or never did, tells its MAC addresses (Docker 26.1).
            for name, endpoint in found["NetworkSettings"]["Networks"].items():
                address = endpoint.get("MacAddress")
                if address:
                    self._addresses.setdefault(found["Id"], {})[name] = address
                    endpoint["MacAddress"] = ""
                    if name == found["HostConfig"]["NetworkMode"] and self.api_version < "1.52":
                        found["Config"]["MacAddress"] = address
            if found["HostConfig"]["AutoRemove"]:
                del self._containers[found["Id"]]

    def restart_container(self, container: str, *, timeout: Optional[int] = None) -> None:
        self._note("restart_container", container)
        found = self._require(container, "restarting")
        removed, found["HostConfig"]["AutoRemove"] = found["HostConfig"]["AutoRemove"], False
        self.stop_container(container, timeout=timeout)
        found["HostConfig"]["AutoRemove"] = removed
        self.start_container(container)

    def pause_container(self, container: str) -> None:
        self._note("pause_container", container)
        found = self._require(container, "pausing")
        if found["State"]["Status"] != "running":
            raise EngineUnavailable(f"pausing the container {container}", found="it is not running or paused")
        found["State"].update(Status="paused", Paused=True)

    def unpause_container(self, container: str) -> None:
        self._note("unpause_container", container)
        found = self._require(container, "unpausing")
        if not found["State"]["Paused"]:
            raise EngineUnavailable(f"unpausing the container {container}", found="it is not paused")
        found["State"].update(Status="running", Paused=False)

    def kill_container(self, container: str, signal: str) -> None:
        self._note("kill_container", container)
        found = self._require(container, "killing")
        if not found["State"]["Running"]:
            raise EngineUnavailable(f"killing the container {container}", found="it is not running")
        if signal == "SIGKILL":
            found["State"] = _state("exited", code=137)

    def rename_container(self, container: str, name: str) -> None:
        self._note("rename_container", container)
        found = self._require(container, "renaming")
        if self._search(name) is not None:
            raise EngineUnavailable(
                f"renaming the container {container}", found=f'The name "/{name}" is in use'
            )
        if found["State"]["Restarting"]:
            raise EngineUnavailable(f"renaming the container {container}", found="sandbox not found")
        overlays = {known["Name"] for known in self._networks if known["Driver"] == "overlay"}
        if found["State"]["Running"] and overlays & set(found["NetworkSettings"]["Networks"]):
            # moby issue 42351
            raise EngineUnavailable(f"renaming the container {container}", found="watch null for network")
        found["Name"] = f"/{name}"

    def remove_container(self, container: str, *, force: bool = False, volumes: bool = False) -> None:
        self._note("remove_container", container)
        found = self._search(container)
        if found is None:
            return
        if found["State"]["Running"] and not force:
            raise EngineUnavailable(
                f"removing the container {container}", found="You cannot remove a running one"
            )
        del self._containers[found["Id"]]

    def connect_network(self, network: str, container: str, endpoint: Mapping[str, Any]) -> None:
        self._note("connect_network", network)
        found = self._require(container, "connecting")
        mode = found["HostConfig"]["NetworkMode"]
        if mode in ("host", "none"):
            raise EngineUnavailable(f"connecting the container {container}", found=f"it is in {mode} mode")
        if network in found["NetworkSettings"]["Networks"]:
            raise EngineUnavailable(f"connecting to {network}", found="endpoint already exists")
        if found["State"]["Running"]:
            self._refuse_address(network, (endpoint.get("IPAMConfig") or {}).get("IPv4Address", ""))
        found["NetworkSettings"]["Networks"][network] = self._endpoint(network, found["Id"], endpoint)

    def disconnect_network(self, network: str, container: str) -> None:
        self._note("disconnect_network", network)
        found = self._require(container, "disconnecting")
        if network not in found["NetworkSettings"]["Networks"]:
            raise EngineUnavailable(f"disconnecting from {network}", found="is not connected")
        del found["NetworkSettings"]["Networks"][network]

    # -- for tests --

    def add_network(self, name: str, prefix: str = "", **fields: Any) -> None:
        """Adds a network; see :func:`make_network`."""
        self._networks.append(make_network(name, prefix, **fields))

    def make_network_anew(self, name: str, prefix: str) -> None:
        """What removing a network and creating one of the same name comes to."""
        made = {**make_network(name, prefix), "Id": hashlib.sha256(f"{name} {prefix}".encode()).hexdigest()}
        self._networks = [made if known["Name"] == name else known for known in self._networks]

    def set_status(self, container: str, status: str) -> None:
        """Lets a container be in a state such as ``removing``."""
        state = _state(status)
        paused = {"Running": True, "Paused": True} if status == "paused" else {}
        self._require(container, "changing")["State"] = {**state, **paused}

    def names(self) -> Dict[str, str]:
        """Status of every container by name."""
        return {c["Name"].lstrip("/"): c["State"]["Status"] for c in self._containers.values()}

    def _now(self) -> str:
        return f"2026-11-23T12:00:00.{next(self._nanoseconds):09d}Z"

    def _note(self, method: str, subject: str) -> None:
        self.calls.append((method, subject))
        planned = self.failures.get(method)
        failure = planned.pop(0) if planned else None
        if failure is not None:
            raise failure

    def _refuse_conflict(
        self, container: str, host_config: Mapping[str, Any], body: Mapping[str, Any]
    ) -> None:
        nano = ("NanoCpus", "CpuPeriod"), ("NanoCpus", "CpuQuota")
        pairs = [*nano, *(pair[::-1] for pair in nano)]
        conflicting = any(body.get(asked) and host_config.get(there) for asked, there in pairs)
        if body.get("RestartPolicy", {}).get("Name", "no") != "no" and host_config["AutoRemove"]:
            conflicting = True
        if conflicting:
            raise EngineUnavailable(f"updating the container {container}", found="it cannot be updated")

    def _refuse_discarded(self, action: str, host_config: Mapping[str, Any]) -> None:
        if not self.memory_limit and any(host_config.get(key) for key in ("Memory", "MemoryReservation")):
            raise EngineUnavailable(
                action, found="memory limit capabilities are lacking. Limitation discarded"
            )

    def _search(self, container: str) -> Optional[Dict[str, Any]]:
        return next(
            (c for c in self._containers.values() if container in (c["Id"], c["Name"].lstrip("/"))), None
        )

    def _require(self, container: str, doing: str) -> Dict[str, Any]:
        found = self._search(container)
        if found is None:
            raise EngineUnavailable(
                f"{doing} the container {container}", found=f"No such container: {container}"
            )
        return found

    def _from_registry(self, reference: str) -> Dict[str, Any]:
        if reference not in self.registry:
            raise EngineUnavailable(f"pulling the image {reference}", found="connection refused")
        return self.registry[reference]

    def _take_ports(self, container: Mapping[str, Any]) -> None:
        taken = {
            port
            for other in self._containers.values()
            if other["State"]["Running"]
            for port in _host_ports(other)
        }
        for port in _host_ports(container):
            if port in taken:
                raise EngineUnavailable(
                    "starting the container", found=f"Bind for {port} failed: already allocated"
                )

    def _inspection(
        self, identifier: str, name: str, body: Dict[str, Any], image: Mapping[str, Any]
    ) -> Dict[str, Any]:
        host_config = {**copy.deepcopy(_HOST_CONFIG), **body.pop("HostConfig", {})}
        if host_config["Memory"] and not host_config["MemorySwap"]:
            host_config["MemorySwap"] = 2 * host_config["Memory"]
        host_config["Runtime"] = host_config.get("Runtime") or "runc"
        log_config = host_config.get("LogConfig") or {}
        host_config["LogConfig"] = {"Config": {}, **log_config, "Type": log_config.get("Type") or "json-file"}
        if not host_config["RestartPolicy"].get("Name"):
            host_config["RestartPolicy"] = {"Name": "no", "MaximumRetryCount": 0}
        host_config["RestartPolicy"].setdefault("MaximumRetryCount", 0)
        endpoints = body.pop("NetworkingConfig", {}).get("EndpointsConfig", {})
        mode = {"default": "bridge"}.get(host_config["NetworkMode"], host_config["NetworkMode"])
        if not mode.startswith("container:"):
            endpoints = {mode: endpoints.get(mode, {}), **endpoints}
        return {
            "Id": identifier,
            "Created": self._now(),
            "Name": f"/{name}",
            "Image": image["Id"],
            "Config": self._config(identifier, body, image["Config"]),
            "HostConfig": host_config,
            "NetworkSettings": {
                "Networks": {n: self._endpoint(n, identifier, e) for n, e in endpoints.items()},
            },
            "RestartCount": 0,
            "State": _state("created"),
        }

    def _config(self, identifier: str, body: Dict[str, Any], image: Mapping[str, Any]) -> Dict[str, Any]:
        config = {**copy.deepcopy(_CONFIG), "Hostname": identifier[:12], **body}
        own = [item.partition("=")[0] for item in body.get("Env") or ()]
        inherited = [item for item in image.get("Env") or () if item.partition("=")[0] not in own]
        config["Env"] = [*(body.get("Env") or ()), *inherited]
        config["Labels"] = {**(image.get("Labels") or {}), **(body.get("Labels") or {})}
        for key in ("Volumes", "ExposedPorts"):
            config[key] = {**(image.get(key) or {}), **(body.get(key) or {})} or None
        for key in ("User", "WorkingDir"):
            config[key] = body.get(key) or image.get(key) or ""
        config["Hostname"] = body.get("Hostname") or identifier[:12]
        if not body.get("Entrypoint"):
            config["Entrypoint"] = image.get("Entrypoint")
            config["Cmd"] = body.get("Cmd") or image.get("Cmd")
        if config["Entrypoint"] == [""]:
            config["Entrypoint"] = None
        if config.get("Healthcheck") and image.get("Healthcheck"):
            inherited = image["Healthcheck"].items()
            config["Healthcheck"].update(
                {key: value for key, value in inherited if not config["Healthcheck"].get(key)}
            )
        return config

    def _refuse_former_networks(self, container: Mapping[str, Any]) -> None:
        ids = {known["Id"] for known in self._networks}
        for name, endpoint in container["NetworkSettings"]["Networks"].items():
            if name not in ("bridge", "host", "none") and endpoint.get("NetworkID", "") not in {"", *ids}:
                raise EngineUnavailable(
                    f"starting the container {container['Id']}",
                    found=f"network {endpoint['NetworkID']} not found",
                )

    def _refuse_address(self, network: str, address: str) -> None:
        """Refuses a fixed address that is not in the network, or that another container has."""
        if not address:
            return
        configs = [
            config for item in self._networks if item["Name"] == network for config in item["IPAM"]["Config"]
        ]
        if not any(ipaddress.ip_address(address) in ipaddress.ip_network(c["Subnet"]) for c in configs):
            raise EngineUnavailable(
                f"connecting to {network}", found=f"no subnet contains IP address {address}"
            )
        endpoints = (c["NetworkSettings"]["Networks"].get(network) or {} for c in self._containers.values())
        if address in [(item.get("IPAMConfig") or {}).get("IPv4Address") for item in endpoints]:
            raise EngineUnavailable(f"connecting to {network}", found="Address already in use")

    def _endpoint(self, network: str, identifier: str, endpoint: Mapping[str, Any]) -> Dict[str, Any]:
        there = next((known for known in self._networks if known["Name"] == network), None)
        if there is None:
            raise EngineUnavailable(f"network {network}", found=f"network {network} not found")
        own = network not in ("bridge", "host", "none")
        aliases = [*(endpoint.get("Aliases") or ()), *([identifier[:12]] if own else ())]
        return {
            "IPAMConfig": None,
            "Gateway": "",
            "NetworkID": there["Id"],
            **endpoint,
            "Aliases": aliases or None,
        }


def make_image(name: str, **config: Any) -> Dict[str, Any]:
    """The inspection of an image, with its own defaults that must not count as requested."""
    return {
        "Id": f"sha256:{hashlib.sha256(name.encode()).hexdigest()}",
        "RepoDigests": [f"{name}@sha256:{hashlib.sha256(name[::-1].encode()).hexdigest()}"],
        "Config": {
            "Cmd": ["/bin/sh", "-c", "trap 'exit 0' TERM INT; while :; do sleep 3600 & wait $!; done"],
            "Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
            "Labels": None,
            "User": "",
            "WorkingDir": "/",
            **config,
        },
    }


def make_network(name: str, prefix: str = "", *, driver: str = "bridge", **fields: Any) -> Dict[str, Any]:
    """A network as in ``GET /networks``; prefix: first three numbers of its IPv4 addresses."""
    config = [{"Subnet": f"{prefix}.0/24", "Gateway": f"{prefix}.1"}] if prefix else []
    return {
        "Name": name,
        "Id": hashlib.sha256(name.encode()).hexdigest(),
        "Driver": driver,
        "EnableIPv6": False,
        "IPAM": {"Driver": "default", "Options": None, "Config": config},
        "Internal": False,
        "Labels": {},
        "Options": {"com.docker.network.bridge.name": "docker0"} if name == "bridge" else {},
        **fields,
    }


def _state(status: str, *, code: int = 0, pid: int = 0) -> Dict[str, Any]:
    return {
        "Status": status,
        "Running": status == "running",
        "Restarting": False,
        "Paused": False,
        "ExitCode": code,
        "Error": "",
        "FinishedAt": "0001-01-01T00:00:00Z",
        "Pid": pid,
    }


def _host_ports(container: Mapping[str, Any]) -> List[str]:
    bindings = container["HostConfig"]["PortBindings"] or {}
    return [
        f"{binding['HostPort']}/{port.partition('/')[2]}"
        for port, published in bindings.items()
        for binding in published
        if binding["HostPort"]
    ]
