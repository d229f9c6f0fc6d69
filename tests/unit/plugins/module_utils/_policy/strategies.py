# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Calls, from the tables: every route with any parameters and any body of its shape."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from ansible_collections.wormhole.docker.plugins.module_utils._policy.call import Call
from ansible_collections.wormhole.docker.plugins.module_utils._policy.routes import ROUTES, Parameter
from ansible_collections.wormhole.docker.plugins.module_utils._policy.shapes import (
    DROPPED,
    Flag,
    ListOf,
    MapOf,
    Nothing,
    Number,
    Struct,
    Text,
    Words,
)

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=12)
NUMBERS = st.integers(-(1 << 63), (1 << 63) - 1)
NAMES = st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9_.-]{1,20}\Z").filter(
    lambda name: name not in ("json", "create", "prune")
)
IMAGES = st.from_regex(r"\A[a-z0-9]{1,8}(/[a-z0-9]{1,8}){0,2}(:[a-z0-9]{1,5})?\Z").filter(
    lambda name: name not in ("json", "search", "get", "load", "create", "prune")
)
VERSIONS = st.sampled_from(["", "1.24", "1.41", "1.45", "1.56"])
REFERENCES = {
    "container": NAMES,
    "network": NAMES,
    "volume": NAMES,
    "image": IMAGES,
    "exec": st.from_regex(r"\A[0-9a-f]{64}\Z"),
}


def values(shape: Any) -> st.SearchStrategy[Any]:
    """Values of a shape in their canonical spelling."""
    if isinstance(shape, Text):
        return TEXTS
    if isinstance(shape, Number):
        return NUMBERS
    if isinstance(shape, Flag):
        return st.booleans()
    if isinstance(shape, Nothing):
        return st.just({})
    if isinstance(shape, Words):
        return st.lists(TEXTS, max_size=3)
    if isinstance(shape, ListOf):
        return st.lists(values(shape.item), max_size=2)
    if isinstance(shape, MapOf):
        return st.dictionaries(TEXTS, values(shape.item), max_size=2)
    assert isinstance(shape, Struct)
    return _structs(shape)


@st.composite
def _structs(draw: st.DrawFn, shape: Struct) -> Any:
    rows = [row for row in shape.fields if row.rule != DROPPED]
    if not rows:
        return {}
    chosen = draw(st.lists(st.sampled_from(rows), max_size=5, unique_by=lambda row: row.name))
    return {row.name: draw(values(row.shape)) for row in chosen}


def parameters(row: Parameter) -> st.SearchStrategy[Any]:
    """Values of a parameter in their canonical form."""
    filters = st.dictionaries(
        st.sampled_from(row.values or ("x",)),
        st.sets(TEXTS, max_size=3).map(lambda texts: tuple(sorted(texts))),
        max_size=2,
    )
    platforms = st.sampled_from(["linux/amd64", '{"architecture":"arm64","os":"linux"}'])
    kinds = {
        "text": st.sampled_from(row.values) if row.values else TEXTS,
        "texts": st.lists(TEXTS, min_size=1, max_size=3).map(tuple),
        "flag": st.booleans(),
        "number": NUMBERS,
        "filters": filters,
        "platform": platforms,
        "platforms": st.lists(platforms, min_size=1, max_size=2).map(tuple),
        "map": st.dictionaries(TEXTS, TEXTS, max_size=2),
        "list": st.lists(TEXTS, max_size=2),
        "ulimits": st.just([{"Name": "nofile", "Soft": 1, "Hard": 2}]),
    }
    return kinds[row.kind]


@st.composite
def calls(draw: st.DrawFn) -> Call:
    """A call of any route, in its canonical form."""
    route = draw(st.sampled_from(list(ROUTES.values())))
    names = {route.object: draw(REFERENCES[route.object])} if route.object else {}
    query = {}
    if route.parameters:
        chosen = draw(st.lists(st.sampled_from(route.parameters), max_size=4, unique_by=lambda row: row.name))
        order = [row for row in route.parameters if row in chosen]
        query = {row.name: draw(parameters(row)) for row in order}
    body = draw(st.none() | values(route.document)) if route.document else None
    return Call(route.name, draw(VERSIONS), names, query, body)
