# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import itertools

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._wormhole.found import (
    FoundWormhole,
    complete,
    list_wormholes,
)
from ansible_collections.wormhole.docker.plugins.module_utils._wormhole.spec import WormholeSpec


def summary(identifier, *names, **labels):
    return {
        "Id": identifier,
        "Names": [f"/{name}" for name in names],
        "Image": "image:1",
        "State": "running",
        "Labels": {f"wormhole.docker.{name}": value for name, value in labels.items()},
    }


AGENT = summary("a", "agent", managed="true", transport="tls", identity="ci")
SOCKET = summary("s", "socket", managed="true", transport="unix")
ASIDE = summary("f", WormholeSpec("agent").previous_name, managed="true", transport="tls", identity="ci")
NEXT = summary("n", WormholeSpec("agent").successor_name, managed="true", transport="tls", identity="ci")
FOUND = FoundWormhole("agent", "a", "image:1", "running", "tls", "ci", managed=True)


@pytest.mark.parametrize("summaries", list(itertools.permutations([AGENT, SOCKET, ASIDE, NEXT])))
def test_a_wormhole_is_listed_once_whatever_the_order(summaries):
    assert list_wormholes(summaries) == (
        FOUND,
        FoundWormhole("socket", "s", "image:1", "running", "unix", managed=True),
    )


def test_one_that_was_put_aside_has_the_name_that_it_had():
    (found,) = list_wormholes([NEXT, ASIDE])
    assert (found.name, found.id, found.put_aside) == ("agent", "f", True)
    (found,) = list_wormholes([NEXT])
    assert (found.name, found.id, found.put_aside) == ("agent", "n", True)


@pytest.mark.parametrize("names", [("web/db", "agent"), ("agent", "web/db")])
def test_names_that_links_add_are_not_its_own(names):
    (found,) = list_wormholes([summary("a", *names)])
    assert found.name == "agent"


def test_a_container_without_labels_and_names_is_told_by_its_id():
    """The engine leaves out the names of a container that it is removing."""
    assert list_wormholes([{"Id": "a", "Names": None, "Labels": None}]) == (FoundWormhole("a", "a"),)


def inspection(*env, running=True, mounts=(), **state):
    return {
        "Name": "/agent",
        "Config": {"Env": list(env)},
        "State": {"Running": running, **state},
        "Mounts": [{"Source": source, "Destination": target} for source, target in mounts],
    }


def test_what_a_container_tells_of_its_wormhole():
    found = complete(
        FOUND,
        inspection(
            "DOCKER_HOST=tcp://[fd00::1]:2377",
            "DOCKER_CERT_PATH=/certs",
            mounts=[("/etc/wormhole/identities/ci", "/certs")],
            Health={"Status": "healthy"},
        ),
    )
    assert (found.address, found.port) == ("fd00::1", 2377)
    assert found.identity_directory == "/etc/wormhole/identities/ci"
    assert (found.certificate_path, found.running, found.health) == ("/certs", True, "healthy")


@pytest.mark.parametrize(
    "env", [(), ("DOCKER_HOST=tcp://",), ("DOCKER_HOST=unix:///x", "DOCKER_CERT_PATH=/nowhere")]
)
def test_what_somebody_has_made_otherwise_is_told_as_far_as_it_goes(env):
    found = complete(FOUND, inspection(*env, running=False))
    assert (found.address, found.port, found.identity_directory, found.running) == ("", 0, "", False)


@pytest.mark.parametrize("state", [{"running": False}, {"Restarting": True}, {"Health": {"Status": "none"}}])
def test_what_does_not_run_or_has_no_check_has_no_health(state):
    # Engines say "unhealthy" of a stopped container, some "none" of one without a check.
    assert complete(FOUND, inspection(**{"Health": {"Status": "unhealthy"}, **state})).health == ""


def test_a_container_that_only_has_the_wiring_is_nobodys_to_manage():
    (found,) = list_wormholes([summary("a", "agent", transport="tls", identity="ci")])
    assert not found.managed
