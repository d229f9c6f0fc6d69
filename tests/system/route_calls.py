# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One call for each route of the gate's table, on objects of a wormhole called NAME.

The objects are those of :data:`OBJECTS`. The order is that in which the calls can be made.
"""

from __future__ import annotations

import importlib
import io
import json
import tarfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from raw_calls import Raw

IMAGE = "wormhole-lab/busybox:1"
SLEEP = f"{IMAGE} sh -c 'trap exit TERM; while :; do sleep 0.2; done'"
OBJECTS = f"""
docker network create NAME-net && docker volume create NAME-data
docker run -d --name NAME-web --network NAME-net -v NAME-data:/d {SLEEP}
docker run --name NAME-done {IMAGE} true
docker create --name NAME-made {SLEEP}
docker create --name NAME-gone {SLEEP}
docker exec -d NAME-web sleep 600
"""
"""Creates the objects of a wormhole, from inside."""

_SLICES = "ansible_collections.wormhole.docker.plugins.module_utils._policy"


def _archive(*files: tuple[str, bytes]) -> str:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in files:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return stream.getvalue().decode("latin-1")


@dataclass(frozen=True)
class Row:
    """A call of one route.

    Attributes:
        of: the object in its path; a container unless the path says otherwise.
        query: its parameters.
        body: see Raw.
        kind: see Raw.
        reaches: whether an error of the engine is a right answer, because the lab has no registry,
            or because the engine rejects what the gate allows.
        by: the wormhole that may make it, see test_siblings.py.
    """

    of: str = "NAME-web"
    query: str = ""
    body: Any = None
    kind: str = "whole"
    reaches: bool = False
    by: str = "full"


ROWS: Mapping[str, Row] = {
    "ping": Row(),
    "ping.head": Row(),
    "version": Row(),
    "info": Row(),
    "events": Row(query="since=1&until=2", kind="stream"),
    "df": Row(),
    "auth": Row(body={"username": "u", "password": "p", "serveraddress": "docker.io"}, reaches=True),
    "search": Row(query="term=busybox", reaches=True),
    "distribution": Row(IMAGE, reaches=True),
    "container.list": Row(query="all=1"),
    "image.list": Row(),
    "network.list": Row(),
    "volume.list": Row(),
    "container.create": Row(query="name=NAME-new", body={"Image": IMAGE, "Cmd": ["true"]}),
    "container.inspect": Row(),
    "container.logs": Row(query="stdout=1", kind="stream"),
    "container.stats": Row(query="stream=0&one-shot=1", kind="stream"),
    "container.top": Row(),
    "container.changes": Row(),
    "container.export": Row(kind="stream"),
    "archive.get": Row(query="path=/etc/hostname", kind="stream"),
    "archive.head": Row(query="path=/etc/hostname"),
    "archive.put": Row(query="path=/", body=_archive(("written", b"x"))),
    "container.start": Row("NAME-made"),
    "container.stop": Row("NAME-made", "t=1"),
    "container.restart": Row("NAME-made", "t=1"),
    "container.kill": Row(query="signal=CONT"),
    "container.pause": Row(),
    "container.unpause": Row(),
    "container.wait": Row("NAME-done", "condition=not-running", kind="stream"),
    "container.resize": Row(query="h=10&w=10", reaches=True),
    "container.rename": Row("NAME-made", "name=NAME-renamed"),
    "container.delete": Row("NAME-gone", "force=1&v=1"),
    "container.update": Row(body={"PidsLimit": 100}),
    "container.attach": Row(query="stream=1&stdout=1", kind="hijack"),
    "container.exec": Row(body={"Cmd": ["true"]}),
    "exec.start": Row("EXEC", body={"Detach": True}, reaches=True),
    "exec.resize": Row("EXEC", "h=10&w=10", reaches=True),
    "exec.inspect": Row("EXEC"),
    "container.prune": Row(),
    "commit": Row(query="container=NAME-web&repo=NAME/copy&tag=2"),
    "image.inspect": Row(IMAGE),
    "image.history": Row(IMAGE),
    "image.create": Row(query="fromImage=wormhole-lab/busybox&tag=1", kind="stream", reaches=True),
    "image.tag": Row(IMAGE, "repo=NAME/copy&tag=1"),
    "image.push": Row("NAME/copy", "tag=1", kind="stream", reaches=True),
    "image.delete": Row("NAME/copy:1"),
    "image.load": Row(body=_archive(), kind="stream", reaches=True),
    "image.save": Row(IMAGE, kind="stream"),
    "image.save_many": Row(query=f"names={IMAGE}", kind="stream"),
    "image.prune": Row(by="prunes"),
    "build": Row(
        query="t=NAME/built:1", body=_archive(("Dockerfile", f"FROM {IMAGE}\nENV a=b\n".encode())), kind="stream"
    ),
    "build.cancel": Row(query="id=x", reaches=True, by="builds"),
    "build.prune": Row(by="builds"),
    "session": Row(kind="hijack", reaches=True, by="builds"),
    "grpc": Row(kind="hijack", reaches=True, by="builds"),
    "network.inspect": Row("NAME-net"),
    "network.create": Row(body={"Name": "NAME-net2"}),
    "network.connect": Row("NAME-net2", body={"Container": "NAME-web"}),
    "network.disconnect": Row("NAME-net2", body={"Container": "NAME-web"}),
    "network.delete": Row("NAME-net2"),
    "network.prune": Row(),
    "volume.inspect": Row("NAME-data"),
    "volume.create": Row(body={"Name": "NAME-data2"}),
    "volume.delete": Row("NAME-data2"),
    "volume.prune": Row(),
}  # fmt: skip
"""By the name of the route."""


def routes() -> Mapping[str, Any]:
    """Return the gate's own table. ``collections`` must be on sys.path, see gates.Gate."""
    table: Mapping[str, Any] = importlib.import_module(f"{_SLICES}.routes").ROUTES
    return table


def call_of(route: Any, row: Row, reference: str = "", body: Any = None) -> Raw:
    """Return the call of a route.

    Args:
        route: a row of routes().
        row: the call.
        reference: the object in the path instead of that of the row.
        body: the body instead of that of the row.
    """
    chosen = quote(reference or row.of, safe="/:")
    path = route.path
    for place in ("container", "network", "volume", "image", "exec"):
        path = path.replace(f"{{{place}}}", chosen)
    query = f"?{row.query}" if row.query else ""
    return Raw(route.method, path + query, row.body if body is None else body, row.kind)


def filled(call: Raw, name: str, instance: str = "") -> Raw:
    """Return a call with the name of a wormhole, and the ID of an instance of exec."""

    def fill(value: Any) -> Any:
        if isinstance(value, str):
            return value.replace("NAME", name).replace("EXEC", instance) if len(value) < 500 else value
        return {key: fill(item) for key, item in value.items()} if isinstance(value, dict) else value

    return Raw(call.method, fill(call.target), fill(call.body), call.kind)


def references_to(theirs: str, identifiers: Mapping[str, str]) -> Mapping[str, tuple[str, ...]]:
    """Return how the objects of another wormhole can be named, by the place in a path.

    Args:
        theirs: its name.
        identifiers: full IDs of its container, its network, and its instance of exec.
    """

    def names(name: str, identifier: str) -> tuple[str, ...]:
        return name, identifier, identifier[:12]

    return {
        "container": names(f"{theirs}-web", identifiers["container"]),
        "network": names(f"{theirs}-net", identifiers["network"]),
        "volume": (f"{theirs}-data",),
        "exec": (identifiers["exec"],),
    }


def calls_that_name(references: Mapping[str, tuple[str, ...]]) -> list[Raw]:
    """Return calls of a wormhole NAME that name objects of another one in bodies and parameters."""
    calls = []
    for other in references["container"]:
        hosts: list[dict[str, Any]] = [
            {"VolumesFrom": [other]}, {"VolumesFrom": [f"{other}:ro"]}, {"Links": [f"{other}:x"]},
            *({mode: f"container:{other}"} for mode in ("NetworkMode", "PidMode", "IpcMode")),
        ]  # fmt: skip
        calls += [Raw("POST", "/containers/create", {"Image": IMAGE, "HostConfig": host}) for host in hosts]
        calls += [
            Raw("POST", "/networks/NAME-net/connect", {"Container": other}),
            Raw("POST", "/networks/NAME-net/disconnect", {"Container": other, "Force": True}),
            Raw("POST", f"/commit?container={other}&repo=NAME/stolen"),
            *(_listed("/containers/json?all=1&", name, other) for name in ("before", "since")),
        ]
    for other in references["network"]:
        calls += [
            Raw("POST", "/containers/create", {"Image": IMAGE, "HostConfig": {"NetworkMode": other}}),
            Raw(
                "POST",
                "/containers/create",
                {"Image": IMAGE, "NetworkingConfig": {"EndpointsConfig": {other: {}}}},
            ),
        ]
    for other in references["volume"]:
        mount = {"Type": "volume", "Source": other, "Target": "/d"}
        calls += [
            Raw("POST", "/containers/create", {"Image": IMAGE, "HostConfig": {"Binds": [f"{other}:/d"]}}),
            Raw("POST", "/containers/create", {"Image": IMAGE, "HostConfig": {"Binds": [f"{other}:/d:ro"]}}),
            Raw("POST", "/containers/create", {"Image": IMAGE, "HostConfig": {"Mounts": [mount]}}),
            Raw("POST", "/volumes/create", {"Name": other}),
        ]
    return calls


def searches_for(theirs: str, identifiers: Mapping[str, str]) -> list[Raw]:
    """Return calls whose answers must not mention another wormhole's objects."""
    now = int(time.time()) + 1
    events, containers = f"/events?since=1&until={now}&", "/containers/json?all=1&"
    filters = [
        ("name", f"{theirs}-web"), ("id", identifiers["container"]), ("id", identifiers["container"][:12]),
        ("network", f"{theirs}-net"), ("network", identifiers["network"]), ("volume", f"{theirs}-data"),
        ("ancestor", IMAGE), ("label", f"wormhole.docker.owner={theirs}"), ("status", "running"),
    ]  # fmt: skip
    return [
        Raw("GET", "/containers/json?all=1&size=1"),
        Raw("GET", "/networks"),
        Raw("GET", "/volumes"),
        Raw("GET", "/networks/bridge"),
        Raw("GET", events.rstrip("&"), kind="stream"),
        _listed(events, "container", identifiers["container"]),
        _listed(events, "type", "container"),
        *(_listed(containers, name, value) for name, value in filters),
        _listed("/networks?", "name", f"{theirs}-net"),
        _listed("/networks?", "id", identifiers["network"]),
        _listed("/networks?", "driver", "bridge"),
        _listed("/volumes?", "name", f"{theirs}-data"),
        _listed("/volumes?", "dangling", "false"),
        _listed("/volumes?", "driver", "local"),
    ]


def takings_of(theirs: str) -> list[Raw]:
    """Return calls that would take the name of another wormhole's object."""
    return [
        Raw("POST", f"/containers/create?name={theirs}-web", {"Image": IMAGE}),
        Raw("POST", f"/containers/NAME-web/rename?name={theirs}-web"),
        Raw("POST", "/networks/create", {"Name": f"{theirs}-net"}),
        Raw("POST", "/networks/create", {"Name": f"{theirs}-net", "CheckDuplicate": False}),
        Raw("POST", "/volumes/create", {"Name": f"{theirs}-data"}),
        Raw("POST", f"/images/{IMAGE}/tag?repo={theirs}/copy&tag=1"),
        Raw("DELETE", f"/images/{theirs}/copy:1"),
        Raw("POST", f"/commit?container=NAME-web&repo={theirs}/copy&tag=1"),
        Raw("POST", f"/build?t={theirs}/copy:1", _archive(("Dockerfile", b"FROM scratch\n"))),
    ]


def _listed(place: str, name: str, value: str) -> Raw:
    filters = quote(json.dumps({name: [value]}))
    return Raw("GET", f"{place}filters={filters}", kind="stream" if "events" in place else "whole")
