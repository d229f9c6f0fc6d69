# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every row of the tables of fields: what is allowed passes, what is refused does not."""

from __future__ import annotations

from typing import Any, Iterator, List, Tuple

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._policy.bodies import DOCUMENTS
from ansible_collections.wormhole.docker.plugins.module_utils._policy.rules import RULES
from ansible_collections.wormhole.docker.plugins.module_utils._policy.shapes import (
    DROPPED,
    FREE,
    STRUCT,
    Field,
    ListOf,
    MapOf,
    Struct,
)
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._policy import cases
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._policy.world import (
    RESTRICTED,
    allowed,
    make_policy,
    refused,
    run,
)


def rows(shape: Any, path: str = "") -> Iterator[Tuple[str, Field]]:
    """Yield every row of a document with its path. Items of lists and maps have no name of their own."""
    if isinstance(shape, (ListOf, MapOf)):
        yield from rows(shape.item, path)
    if isinstance(shape, Struct):
        for row in shape.fields:
            yield path + row.name, row
            yield from rows(row.shape, f"{path}{row.name}.")


EVERY_ROW = [(name, path, row) for name, shape in DOCUMENTS.items() for path, row in rows(shape)]
COMMIT_ONLY = ("Healthcheck.",)


def test_every_row_names_a_rule():
    unknown = {row.rule for _name, _path, row in EVERY_ROW} - set(RULES) - {FREE, STRUCT, DROPPED}
    assert unknown == set()


def test_every_rule_is_used():
    assert set(RULES) - {row.rule for _name, _path, row in EVERY_ROW} == set()


def test_every_row_with_a_rule_has_cases():
    ruled = {(name, path) for name, path, row in EVERY_ROW if row.rule not in (FREE, STRUCT, DROPPED)}
    tested = {(name, path) for name, rows_ in cases.DOCUMENTS.items() for path in rows_}
    assert ruled - tested == set(), "add cases to cases.py"
    assert tested - ruled == set(), "these cases have no row"


def _all(kind: str) -> List[Any]:
    found = []
    for name, table in cases.DOCUMENTS.items():
        for path, case in table.items():
            for number, item in enumerate(getattr(case, kind)):
                found.append(pytest.param(name, case.overrides, item, id=f"{name}:{path}:{number}"))
    return found


def _decide(name, overrides, part):
    method_target, minimal = cases.MINIMAL[name]
    body = {**minimal, **part}
    return run(make_policy("test", **_settings(name, overrides)), "POST", method_target, body)


def _settings(name, overrides):
    """The level restricted also needs what its other rows need."""
    extra = {"networks": ["bridge"]} if "networks" not in overrides else {}
    if overrides.get("level") == "restricted":
        extra = {**extra, **RESTRICTED}
    return {**extra, **overrides}


def _restricted(overrides, part):
    """Fill in what the level restricted demands in other rows."""
    if overrides.get("level") != "restricted":
        return part
    host = part.get("HostConfig", {})
    only_caps = "HostConfig" in part
    return {
        "User": "1000",
        **part,
        "HostConfig": {**({} if only_caps else {"CapDrop": ["ALL"]}), "NetworkMode": "mynet", **host},
    }


@pytest.mark.parametrize("name, overrides, part", _all("allowed"))
def test_what_is_allowed_passes(name, overrides, part):
    if name == "container.create":
        part = _restricted(overrides, part)
    allowed(_decide(name, overrides, part))


@pytest.mark.parametrize("name, overrides, item", _all("refused"))
def test_what_is_refused_does_not_pass(name, overrides, item):
    part, code = item
    if name == "container.create":
        part = _restricted(overrides, part)
    assert refused(_decide(name, overrides, part))[1] == code


@pytest.mark.parametrize("network", ["shared", "bridge"])
@pytest.mark.parametrize("path", cases.SHARED_ENDPOINT)
def test_addresses_and_aliases_are_for_own_networks(path, network):
    endpoint = {"NetworkingConfig": {"EndpointsConfig": {network: cases.SHARED_ENDPOINT[path]}}}
    decision = _decide("container.create", {"networks": ["shared", "bridge"]}, endpoint)
    assert refused(decision) == (403, "network")


def test_fields_that_only_shared_networks_refuse_are_tested():
    without = {path for path, case in cases.ENDPOINT.items() if not case.refused}
    assert without == set(cases.SHARED_ENDPOINT)
