# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""For every query parameter with a rule: queries that are allowed, and queries that are refused."""

from __future__ import annotations

import json
from typing import Any, Dict, NamedTuple, Tuple
from urllib.parse import urlencode

Query = Dict[str, Any]


class Case(NamedTuple):
    """A parameter's cases: queries that pass, and queries that do not, with the reason code."""

    allowed: Tuple[Query, ...]
    refused: Tuple[Tuple[Query, str], ...]
    overrides: Dict[str, Any] = {}


def _never(name: str, value: Any) -> Dict[str, Case]:
    return {name: Case(({name: ""},), (({name: value}, "field"),))}


_NAMES = ((("a"), "name"), ("0123456789ab", "name"), ("a b", "name"), ("other-x", "name"))
_NAME = Case(
    ({"name": "mine-web"}, {"name": "/mine-web"}),
    tuple(({"name": text}, code) for text, code in (*_NAMES, ("web", "name"))),
    {"names": {"prefix": "mine-", "reserved": ["other-"]}},
)
_TAGS: Dict[str, Any] = {"tags": ["ci/**", "registry.lan/ci/*"]}
_NEW_TAG = Case(
    ({"repo": "ci/app", "tag": "2"}, {"repo": "registry.lan/ci/app"}),
    (
        ({"repo": "alpine", "tag": "1"}, "tag"),
        ({"repo": "ci/app:1"}, "malformed"),
        ({"repo": "registry.lan/ci/a/b", "tag": "1"}, "tag"),
        ({"repo": "ci/app", "tag": "1/2"}, "malformed"),
    ),
    _TAGS,
)
_BUILD: Dict[str, Any] = {"build": "classic", **_TAGS}
_LIMITED: Dict[str, Any] = {**_BUILD, "limits": {"memory": "64m", "cpus": 2, "shm": "64m"}}

CASES: Dict[str, Dict[str, Case]] = {
    "container.create": {"name": _NAME},
    "container.rename": {"name": _NAME},
    "container.top": {
        "ps_args": Case(
            ({"ps_args": "-ef"}, {"ps_args": "aux"}, {"ps_args": "-o pid,cmd"}, {"ps_args": ""}),
            (
                ({"ps_args": "auxe"}, "value"),
                ({"ps_args": "-o pid e"}, "value"),
                ({"ps_args": "eww"}, "value"),
            ),
        )
    },
    "container.start": {**_never("checkpoint", "x"), **_never("checkpoint-dir", "/x")},
    "container.delete": {"link": Case(({"link": "0"}, {"v": "1"}), (({"link": "1"}, "field"),))},
    "commit": {
        "container": Case(
            ({"container": "mine"},),
            (
                ({"container": "theirs"}, "not_found"),
                ({"container": "self"}, "not_owner"),
                ({"container": ""}, "malformed"),
            ),
        ),
        "repo": Case(
            tuple({"container": "mine", **query} for query in (*_NEW_TAG.allowed, {"repo": ""})),
            tuple(({"container": "mine", **query}, code) for query, code in _NEW_TAG.refused),
            _TAGS,
        ),
        "changes": Case(
            ({"container": "mine", "changes": ["CMD true", "env A=b"]},),
            tuple(
                ({"container": "mine", "changes": [text]}, "build")
                for text in (
                    "LABEL wormhole.docker.owner=x",
                    "ONBUILD RUN x",
                    "CMD true\nLABEL a=b",
                    "CMD a \\",
                )
            ),
        ),
    },
    "image.create": {
        "fromImage": Case(
            (
                {"fromImage": "alpine", "tag": "3.20"},
                {"fromImage": "alpine:3.20"},
                {"fromImage": "docker.io/library/alpine"},
            ),
            (
                ({"fromImage": "busybox", "tag": "1"}, "image"),
                ({"fromImage": "alpine:3.20", "tag": "3.21"}, "malformed"),
                ({"fromImage": "alpine", "tag": "3 20"}, "malformed"),
                ({"fromImage": ""}, "malformed"),
                ({}, "malformed"),
            ),
            {"images": ["alpine"], "tags": []},
        ),
        "tag": Case(
            ({"fromImage": "alpine", "tag": "3.20"}, {"fromImage": "alpine", "tag": "sha256:" + "ab" * 32}),
            (({"fromImage": "alpine", "tag": "edge/x"}, "malformed"),),
        ),
        "fromSrc": Case(
            ({"fromImage": "alpine", "fromSrc": ""},), (({"fromImage": "alpine", "fromSrc": "-"}, "field"),)
        ),
        "repo": Case(
            ({"fromImage": "alpine", "repo": ""},), (({"fromImage": "alpine", "repo": "x"}, "field"),)
        ),
        "message": Case(
            ({"fromImage": "alpine", "message": ""},), (({"fromImage": "alpine", "message": "x"}, "field"),)
        ),
        "changes": Case(
            ({"fromImage": "alpine"},), (({"fromImage": "alpine", "changes": ["CMD x"]}, "field"),)
        ),
    },
    "search": {
        "term": Case(
            ({"term": "alpine"}, {"term": "acme/app"}, {"term": "registry.lan/x"}),
            (
                ({"term": "10.0.0.1:80/x"}, "image"),
                ({"term": "other.lan/x"}, "image"),
                ({"term": "localhost/x"}, "image"),
            ),
            {"images": ["registry.lan/**"]},
        )
    },
    "image.tag": {"repo": Case(_NEW_TAG.allowed, (*_NEW_TAG.refused, ({"tag": "1"}, "malformed")), _TAGS)},
    "image.save_many": {
        "names": Case(
            ({"names": ["alpine"]},),
            (
                ({"names": ["alpine", "registry.lan/secret:1"]}, "image"),
                ({"names": ["bbbbbbbbbbbb"]}, "image"),
            ),
            {"images": ["alpine"], "powers": {"image.save": "own"}},
        )
    },
    "build": {
        "t": Case(
            ({"t": ["ci/app:1", "registry.lan/ci/x"]}, {"t": [""]}),
            (({"t": ["ci/app:1", "alpine"]}, "tag"), ({"t": ["UPPER"]}, "malformed")),
            _BUILD,
        ),
        "remote": Case(({"remote": ""},), (({"remote": "https://host.example/x.git"}, "field"),), _BUILD),
        "cachefrom": Case(
            ({"cachefrom": json.dumps(["alpine"])}, {"cachefrom": ""}),
            (({"cachefrom": json.dumps(["registry.lan/secret:1"])}, "image"),),
            {**_BUILD, "images": ["alpine"]},
        ),
        "memory": Case(
            ({"memory": "1000000"}, {}, {"memory": "0"}),
            (({"memory": "100000000"}, "limit"), ({"memory": "-1"}, "limit")),
            _LIMITED,
        ),
        "memswap": Case(
            ({"memswap": "1000000"},),
            (({"memswap": "1000000000"}, "limit"), ({"memswap": "-1"}, "limit")),
            _LIMITED,
        ),
        "cpushares": Case(({"cpushares": "512"},), (({"cpushares": "2048"}, "limit"),), _LIMITED),
        "cpuquota": Case(
            ({"cpuquota": "200000"}, {}, {"cpuquota": "100000", "cpuperiod": "50000"}),
            (
                ({"cpuquota": "200001"}, "limit"),
                ({"cpuquota": "-1"}, "limit"),
                ({"cpuquota": "100001", "cpuperiod": "50000"}, "limit"),
            ),
            _LIMITED,
        ),
        "shmsize": Case(({"shmsize": "1000000"},), (({"shmsize": "100000000"}, "limit"),), _LIMITED),
        "labels": Case(
            ({"labels": json.dumps({"a": "b"})}, {"labels": "null"}),
            (({"labels": json.dumps({"wormhole.docker.owner": "x"})}, "label"),),
            _BUILD,
        ),
        "networkmode": Case(
            ({"networkmode": "none"}, {"networkmode": "default"}, {"networkmode": "mynet"}, {}),
            (
                ({"networkmode": "host"}, "namespace"),
                ({"networkmode": "container:mine"}, "namespace"),
                ({"networkmode": "theirnet"}, "not_found"),
            ),
            _BUILD,
        ),
        "cgroupparent": Case(({"cgroupparent": ""},), (({"cgroupparent": "/x"}, "field"),), _BUILD),
        "securityopt": Case(({},), (({"securityopt": ["seccomp=unconfined"]}, "field"),), _BUILD),
        "ulimits": Case(
            ({"ulimits": json.dumps([{"Name": "nofile", "Soft": 1, "Hard": 2}])},),
            (({"ulimits": json.dumps([{"Name": "rtprio", "Soft": 1, "Hard": 2}])}, "limit"),),
            _BUILD,
        ),
        "outputs": Case(({"outputs": ""},), (({"outputs": "[]"}, "field"),), _BUILD),
        "isolation": Case(
            ({"isolation": "default"}, {"isolation": ""}), (({"isolation": "hyperv"}, "field"),), _BUILD
        ),
        "version": Case(
            ({"version": "1"}, {"version": ""}),
            (({"version": "2"}, "build"), ({"version": "3"}, "value")),
            _BUILD,
        ),
        "session": Case(({"session": ""},), (({"session": "abc"}, "build"),), _BUILD),
    },
}

TARGETS: Dict[str, Tuple[str, str]] = {
    "search": ("GET", "/v1.45/images/search"),
    "container.create": ("POST", "/v1.45/containers/create"),
    "container.rename": ("POST", "/v1.45/containers/mine/rename"),
    "container.top": ("GET", "/v1.45/containers/mine/top"),
    "container.start": ("POST", "/v1.45/containers/mine/start"),
    "container.delete": ("DELETE", "/v1.45/containers/mine"),
    "commit": ("POST", "/v1.45/commit"),
    "image.create": ("POST", "/v1.45/images/create"),
    "image.tag": ("POST", "/v1.45/images/alpine/tag"),
    "image.save_many": ("GET", "/v1.45/images/get"),
    "build": ("POST", "/v1.45/build"),
}


def target_of(name: str, query: Query) -> Tuple[str, str]:
    """Return method and target of a case."""
    method, path = TARGETS[name]
    text = urlencode(query, doseq=True)
    return method, f"{path}?{text}" if text else path
