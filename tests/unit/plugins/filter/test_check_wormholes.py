# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.wormhole.docker.plugins.filter.check_wormholes import FilterModule
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.spec import parse_certificates
from ansible_collections.wormhole.docker.plugins.module_utils._glue.certificates import CERTIFICATE_OPTIONS

check_wormholes = FilterModule().filters()["check_wormholes"]
AGENT = {"name": "agent", "image": "cli"}


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"transport": "tcp"}, "insecure_plaintext_port"),
        ({"ports": ["nonsense"]}, "nonsense"),
        ({"identity_validity_days": 0}, "identity_validity_days: expected 1 to 36500 days, found 0"),
        ({"identity_validity_days": "many"}, "identity_validity_days"),
        ({"imagee": "x"}, "unknown options imagee"),
        ({"docker_host": "tcp://elsewhere:2376"}, "the engine's socket on this host"),
        ({"name": "a" * 65}, "identity: expected 1 to 64 printable characters"),
    ],
)
def test_a_malformed_wormhole_is_rejected_by_name(options, problem):
    bad = {**AGENT, "name": "bad", **options}
    (message,) = check_wormholes([AGENT, bad])["rejected"]
    assert message.startswith(f"{bad['name']}: ")
    assert problem in message


def test_a_name_that_is_too_long_for_an_identity_needs_another_identity():
    long = {**AGENT, "name": "a" * 65}
    (message,) = check_wormholes([long])["rejected"]
    assert message.endswith("Set the option identity to a shorter or simpler one")
    assert check_wormholes([{**long, "identity": "short"}])["rejected"] == []


def test_two_policies_of_one_identity_are_rejected():
    policed = {**AGENT, "transport": "unix", "policy": "ci", "identity": "one"}
    others = {**policed, "name": "other", "policy": "test"}
    (message,) = check_wormholes([policed, others])["rejected"]
    assert "The wormholes agent and other set different policies for the identity one" in message
    assert check_wormholes([policed, {**others, "policy": "ci"}])["rejected"] == []


def test_the_identities_are_valid_certificates_and_those_that_are_shared_are_listed_once():
    checked = check_wormholes(
        [
            AGENT,
            {**AGENT, "name": "twin", "identity": "agent"},
            {**AGENT, "name": "third", "identity": "agent", "identity_directory": "/srv/third"},
            {**AGENT, "name": "unmanaged", "identity_managed": False},
            {**AGENT, "name": "plain", "transport": "unix"},
            {"name": "gone", "state": "absent"},
        ]
    )
    assert checked["rejected"] == []
    defaults = {name: option.get("default") for name, option in CERTIFICATE_OPTIONS.items()}
    specs = parse_certificates([{**defaults, **options} for options in checked["identities"]])
    assert [(spec.common_name, spec.directory) for spec in specs] == [
        ("agent", "/etc/wormhole/identities/agent"),
        ("agent", "/srv/third"),
    ]


@pytest.mark.parametrize("omit", [object(), "__omit_place_holder__0a1b"])
def test_what_is_omitted_is_left_out(omit):
    networks = [{"name": "ci", "ipv4_address": omit}]
    given = {
        **AGENT,
        "memory": omit,
        "tty": omit,
        "published_ports": omit,
        "networks": networks,
        "env": {"A": omit},
    }
    assert check_wormholes([given], omit)["rejected"] == []
    assert check_wormholes([{**AGENT, "tty": omit}])["rejected"] != []
