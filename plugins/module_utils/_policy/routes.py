# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every route of the Engine API, with its parameters and the power that it needs.

A table of data. Routes of moby that are not in ``ROUTES`` are in ``ROOT_ONLY``, so that a refusal can say
whether a route is unknown or reserved. The sources are ``router.New…Route`` in
daemon/server/router/ of moby and the parameters that its handlers read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, Mapping, Optional, Tuple

from .bodies import DOCUMENTS
from .call import HIJACK, JSON, NONE, STREAM, WHOLE, AnswerKind, BodyKind
from .decision import CONTAINER, EXEC, IMAGE, NETWORK, VOLUME, ObjectKind
from .shapes import FREE, NEVER, Struct

FLOOR, CEILING = (1, 24), (1, 56)
"""The oldest and the newest version of the API that the tables describe."""

ParameterKind = Literal[
    "text", "texts", "flag", "number", "filters", "platform", "platforms", "map", "list", "ulimits"
]
"""``texts`` may be repeated. ``map``, ``list`` and ``ulimits`` are JSON in a parameter."""


@dataclass(frozen=True)
class Parameter:
    """A row: one query parameter.

    Attributes:
        name: its name, whose case matters.
        kind: what it holds.
        rule: name of the rule that decides it, a key of ``parameter_rules.RULES``.
        values: of ``filters``, the names of the filters; of ``text``, the only values, if there are any.
    """

    name: str
    kind: ParameterKind = "text"
    rule: str = FREE
    values: Tuple[str, ...] = ()


@dataclass(frozen=True)
class Route:
    """A row: one route.

    Attributes:
        name: a name for it, in this collection.
        method: its HTTP method.
        path: its path without a version. ``{container}`` and the like is a reference.
        power: the power that it needs.
        parameters: its query parameters. Others are rejected.
        body, limit: what follows the head; the bytes that may be read into memory.
        answer: how the engine answers.
        headers: headers of the client that are forwarded.
        object: what the reference in the path names.
        on_self: whether an identity may do this to its own container, in which it is not root.
    """

    name: str
    method: str
    path: str
    power: str
    parameters: Tuple[Parameter, ...] = ()
    body: BodyKind = NONE
    limit: int = 4096
    answer: AnswerKind = WHOLE
    headers: Tuple[str, ...] = ()
    object: Optional[ObjectKind] = None
    on_self: bool = False

    @property
    def document(self) -> Optional[Struct]:
        """The shape of its body; None if it takes none."""
        return DOCUMENTS.get(self.name)


TEXT: Final = "text"
FLAG: Final = "flag"
NUMBER: Final = "number"
_STREAMED: Final = "stream"
_SMALL, _LARGE = 64 << 10, 1 << 20
_AUTH = ("x-registry-auth",)
_GET, _POST, _PUT, _HEAD, _DELETE = "GET", "POST", "PUT", "HEAD", "DELETE"

P = Parameter
_PLATFORM = P("platform", "platform")
_LABELS = ("label", "label!")
_SIGNAL, _SECONDS = P("signal"), P("t", NUMBER)
_ATTACH = (
    P("detachKeys"),
    P("logs", FLAG),
    P("stream", FLAG),
    P("stdin", FLAG),
    P("stdout", FLAG),
    P("stderr", FLAG),
    P("hijack", FLAG),
)
"""``hijack`` is of dockerode, ``trunc_cmd`` and ``only_ids`` of docker-py. Engines ignore them."""
CONTAINER_FILTERS = (
    "ancestor", "before", "exited", "expose", "health", "id", "is-task", "isolation", "label", "name", "network",
    "publish", "since", "status", "volume",
)  # fmt: skip
IMAGE_FILTERS = ("before", "dangling", "label", "label!", "reference", "since", "until")
NETWORK_FILTERS = ("dangling", "driver", "id", "label", "name", "scope", "type")
VOLUME_FILTERS = ("dangling", "driver", "label", "name")
EVENT_FILTERS = (
    "config", "container", "daemon", "event", "image", "label", "network", "node", "plugin", "scope", "secret",
    "service", "type", "volume",
)  # fmt: skip


def _filters(*names: str) -> Parameter:
    return P("filters", "filters", values=names)


def _container(
    name: str, method: str, suffix: str, power: str, *parameters: Parameter, **more: object
) -> Route:
    """A route below a container."""
    path = "/containers/{container}" + suffix
    return Route(name, method, path, power, parameters, object=CONTAINER, **more)  # type: ignore[arg-type]


_SYSTEM = (
    Route("ping", _GET, "/_ping", "ping"),
    Route("ping.head", _HEAD, "/_ping", "ping"),
    Route("version", _GET, "/version", "ping"),
    Route("info", _GET, "/info", "info"),
    Route("events", _GET, "/events", "events", (P("since"), P("until"), _filters(*EVENT_FILTERS)), answer=_STREAMED),
    Route("df", _GET, "/system/df", "df", (P("type", "texts"), P("verbose", FLAG))),
    Route("auth", _POST, "/auth", "login", body=JSON, limit=_SMALL),
    Route(
        "search", _GET, "/images/search", "search",
        (P("term", rule="search_term"), P("limit", NUMBER), _filters("is-automated", "is-official", "stars")), headers=_AUTH,
    ),
    Route("distribution", _GET, "/distribution/{image}/json", "search", headers=_AUTH, object=IMAGE),
)  # fmt: skip

_LISTS = (
    Route(
        "container.list", _GET, "/containers/json", "list",
        (P("all", FLAG), P("limit", NUMBER), P("size", FLAG), P("trunc_cmd", FLAG), _filters(*CONTAINER_FILTERS)),
    ),
    Route(
        "image.list", _GET, "/images/json", "list",
        (P("all", FLAG), P("digests", FLAG), P("shared-size", FLAG), P("manifests", FLAG), P("identity", FLAG),
         P("filter"), P("only_ids", FLAG), _filters(*IMAGE_FILTERS)),
    ),
    Route("network.list", _GET, "/networks", "list", (_filters(*NETWORK_FILTERS),)),
    Route("volume.list", _GET, "/volumes", "list", (_filters(*VOLUME_FILTERS),)),
)  # fmt: skip

_CONTAINERS = (
    Route(
        "container.create", _POST, "/containers/create", "container.create",
        (P("name", rule="container_name"), _PLATFORM), JSON, _LARGE,
    ),
    _container("container.inspect", _GET, "/json", "inspect", P("size", FLAG), on_self=True),
    _container(
        "container.logs", _GET, "/logs", "logs", P("follow", FLAG), P("stdout", FLAG), P("stderr", FLAG), P("since"),
        P("until"), P("timestamps", FLAG), P("tail"), P("details", FLAG), answer=_STREAMED, on_self=True,
    ),
    _container(
        "container.stats", _GET, "/stats", "metrics", P("stream", FLAG), P("one-shot", FLAG), answer=_STREAMED,
        on_self=True,
    ),
    _container("container.top", _GET, "/top", "metrics", P("ps_args", rule="ps_args"), on_self=True),
    _container("container.changes", _GET, "/changes", "files.read"),
    _container("container.export", _GET, "/export", "files.read", answer=_STREAMED),
    _container("archive.get", _GET, "/archive", "files.read", P("path"), answer=_STREAMED),
    _container("archive.head", _HEAD, "/archive", "files.read", P("path")),
    _container(
        "archive.put", _PUT, "/archive", "files.write", P("path"), P("noOverwriteDirNonDir", FLAG),
        P("copyUIDGID", FLAG), body=STREAM,
    ),
    _container(
        "container.start", _POST, "/start", "container.life", P("detachKeys"), P("checkpoint", rule=NEVER),
        P("checkpoint-dir", rule=NEVER),
    ),
    _container("container.stop", _POST, "/stop", "container.life", _SIGNAL, _SECONDS),
    _container("container.restart", _POST, "/restart", "container.life", _SIGNAL, _SECONDS),
    _container("container.kill", _POST, "/kill", "container.life", _SIGNAL),
    _container("container.pause", _POST, "/pause", "container.life"),
    _container("container.unpause", _POST, "/unpause", "container.life"),
    _container(
        "container.wait", _POST, "/wait", "container.life",
        P("condition", values=("", "not-running", "next-exit", "removed")), answer=_STREAMED, on_self=True,
    ),
    _container("container.resize", _POST, "/resize", "container.life", P("h", NUMBER), P("w", NUMBER)),
    _container("container.rename", _POST, "/rename", "container.life", P("name", rule="container_name")),
    _container(
        "container.delete", _DELETE, "", "container.life", P("v", FLAG), P("force", FLAG), P("link", FLAG, NEVER)
    ),
    _container("container.update", _POST, "/update", "container.update", body=JSON, limit=_SMALL),
    _container("container.attach", _POST, "/attach", "container.attach", *_ATTACH, answer=HIJACK),
    _container("container.exec", _POST, "/exec", "exec", body=JSON, limit=_LARGE),
    Route("exec.start", _POST, "/exec/{exec}/start", "exec", (), JSON, _SMALL, HIJACK, object=EXEC),
    Route("exec.resize", _POST, "/exec/{exec}/resize", "exec", (P("h", NUMBER), P("w", NUMBER)), object=EXEC),
    Route("exec.inspect", _GET, "/exec/{exec}/json", "exec", object=EXEC),
    Route("container.prune", _POST, "/containers/prune", "prune", (_filters("until", *_LABELS),)),
    Route(
        "commit", _POST, "/commit", "commit",
        (P("container", rule="commit_container"), P("repo", rule="new_tag"), P("tag"), P("comment"), P("author"),
         P("pause", FLAG), P("changes", "texts", "changes")),
        JSON, _LARGE,
    ),
)  # fmt: skip

_IMAGES = (
    Route("image.inspect", _GET, "/images/{image}/json", "inspect", (P("manifests", FLAG), _PLATFORM), object=IMAGE),
    Route("image.history", _GET, "/images/{image}/history", "inspect", (_PLATFORM,), object=IMAGE),
    Route(
        "image.create", _POST, "/images/create", "pull",
        (P("fromImage", rule="pull"), P("tag", rule="pull_tag"), P("fromSrc", rule=NEVER), P("repo", rule=NEVER),
         P("message", rule=NEVER), P("changes", "texts", NEVER), _PLATFORM),
        answer=_STREAMED, headers=_AUTH,
    ),
    Route(
        "image.tag", _POST, "/images/{image}/tag", "tag", (P("repo", rule="new_tag"), P("tag"), P("force", FLAG)), object=IMAGE
    ),
    Route(
        "image.push", _POST, "/images/{image}/push", "push", (P("tag"), _PLATFORM), answer=_STREAMED, headers=_AUTH,
        object=IMAGE,
    ),
    Route(
        "image.delete", _DELETE, "/images/{image}", "image.remove",
        (P("force", FLAG), P("noprune", FLAG), P("platforms", "platforms")), object=IMAGE,
    ),
    Route(
        "image.load", _POST, "/images/load", "image.load", (P("quiet", FLAG), P("platform", "platforms")), STREAM,
        answer=_STREAMED,
    ),
    Route(
        "image.save", _GET, "/images/{image}/get", "image.save", (P("platform", "platforms"),), answer=_STREAMED,
        object=IMAGE,
    ),
    Route(
        "image.save_many", _GET, "/images/get", "image.save",
        (P("names", "texts", "saved_images"), P("platform", "platforms")), answer=_STREAMED,
    ),
    Route("image.prune", _POST, "/images/prune", "prune", (_filters("dangling", "until", *_LABELS),)),
)  # fmt: skip

_BUILDS = (
    Route(
        "build", _POST, "/build", "build.classic",
        (
            P("dockerfile"), P("t", "texts", "new_tags"), P("extrahosts", "texts"), P("remote", rule=NEVER),
            P("q", FLAG), P("nocache", FLAG), P("cachefrom", "list", "cache_from"), P("pull", FLAG), P("rm", FLAG),
            P("forcerm", FLAG), P("memory", NUMBER, "build_memory"), P("memswap", NUMBER, "build_swap"),
            P("cpushares", NUMBER, "build_shares"), P("cpusetcpus"), P("cpusetmems"),
            P("cpuperiod", NUMBER), P("cpuquota", NUMBER, "build_quota"), P("buildargs", "map"),
            P("shmsize", NUMBER, "build_shm"), P("squash", FLAG), P("labels", "map", "build_labels"),
            P("networkmode", rule="build_network"), P("cgroupparent", rule=NEVER),
            P("securityopt", "texts", NEVER), P("ulimits", "ulimits", "build_ulimits"), _PLATFORM, P("target"),
            P("outputs", rule=NEVER), P("isolation", rule="build_isolation"), P("buildid"),
            P("version", rule="build_version", values=("", "1", "2")), P("session", rule="build_session"),
        ),
        STREAM, answer=_STREAMED, headers=("x-registry-config",),
    ),
    Route("build.cancel", _POST, "/build/cancel", "build.buildkit", (P("id"),)),
    Route(
        "build.prune", _POST, "/build/prune", "build.buildkit",
        (P("all", FLAG), P("keep-storage", NUMBER), P("reserved-space", NUMBER), P("max-used-space", NUMBER),
         P("min-free-space", NUMBER),
         _filters("until", "id", "parent", "type", "description", "inuse", "shared", "private")),
    ),
    Route(
        "session", _POST, "/session", "build.buildkit", answer=HIJACK,
        headers=(
            "x-docker-expose-session-uuid", "x-docker-expose-session-name", "x-docker-expose-session-sharedkey",
            "x-docker-expose-session-grpc-method",
        ),
    ),
    Route("grpc", _POST, "/grpc", "build.buildkit", answer=HIJACK),
)  # fmt: skip

_NETWORKS = (
    Route(
        "network.inspect", _GET, "/networks/{network}", "inspect", (P("verbose", FLAG), P("scope", values=("", "local", "swarm", "global"))),
        object=NETWORK,
    ),
    Route("network.create", _POST, "/networks/create", "network", (), JSON, _SMALL),
    Route("network.connect", _POST, "/networks/{network}/connect", "network.connect", (), JSON, _SMALL, object=NETWORK),
    Route("network.disconnect", _POST, "/networks/{network}/disconnect", "network.connect", (), JSON, _SMALL, object=NETWORK),
    Route("network.delete", _DELETE, "/networks/{network}", "network", object=NETWORK),
    Route("network.prune", _POST, "/networks/prune", "prune", (_filters("until", *_LABELS),)),
)  # fmt: skip

_VOLUMES = (
    Route("volume.inspect", _GET, "/volumes/{volume}", "inspect", object=VOLUME),
    Route("volume.create", _POST, "/volumes/create", "volume", (), JSON, _SMALL),
    Route("volume.delete", _DELETE, "/volumes/{volume}", "volume", (P("force", FLAG),), object=VOLUME),
    Route("volume.prune", _POST, "/volumes/prune", "prune", (_filters("all", *_LABELS),)),
)

ROUTES: Mapping[str, Route] = {
    route.name: route
    for group in (_SYSTEM, _LISTS, _CONTAINERS, _IMAGES, _BUILDS, _NETWORKS, _VOLUMES)
    for route in group
}

ROOT_ONLY = (
    "/swarm", "/nodes", "/services", "/tasks", "/secrets", "/configs", "/plugins", "/debug",
)  # fmt: skip
"""Paths that no policy but ``unrestricted`` reaches, with everything below them."""
ROOT_ONLY_ROUTES = (
    (_GET, "/containers/{container}/checkpoints"),
    (_POST, "/containers/{container}/checkpoints"),
    (_DELETE, "/containers/{container}/checkpoints/{checkpoint}"),
    (_POST, "/containers/{container}/copy"),
    (_GET, "/containers/{container}/attach/ws"),
    (_GET, "/images/{image}/attestations"),
    (_PUT, "/volumes/{volume}"),
)
"""Single routes that the engine has and the tables do not describe."""

POWERS = tuple(dict.fromkeys(route.power for route in ROUTES.values()))
"""Every power, in the order of the table."""
