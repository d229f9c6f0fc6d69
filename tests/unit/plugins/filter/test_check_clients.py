# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.wormhole.docker.plugins.filter.check_clients import FilterModule
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.spec import parse_certificates
from ansible_collections.wormhole.docker.plugins.module_utils._glue.certificates import CERTIFICATE_OPTIONS

check_clients = FilterModule().filters()["check_clients"]
PLAIN = {"name": "ci", "profile": "client", "directory": "/etc/wormhole/clients/ci"}
POLICED = {**PLAIN, "policy": "ci"}


def test_clients_are_divided_into_certificates_and_policies():
    more = {
        "policy_mode": "learn",
        "policy_until": "2030-01-01T00:00:00Z",
        "policy_overrides": {"images": ["a/*"]},
    }
    checked = check_clients(
        [POLICED, {**POLICED, "name": "x", "common_name": "other", **more}, {**PLAIN, "name": "y"}]
    )
    assert checked["rejected"] == []
    assert checked["policies"] == [
        {"identity": "ci", "policy": "ci", "certificate_paths": ["/etc/wormhole/clients/ci/cert.pem"]},
        {
            "identity": "other",
            "policy": "ci",
            "certificate_paths": ["/etc/wormhole/clients/ci/cert.pem"],
            **more,
        },
    ]
    defaults = {name: option.get("default") for name, option in CERTIFICATE_OPTIONS.items()}
    parsed = parse_certificates(
        [
            {**defaults, **options, "directory": f"/srv/{number}"}
            for number, options in enumerate(checked["certificates"])
        ]
    )
    assert [spec.common_name for spec in parsed] == ["ci", "other", "y"]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"policy": "everything"}, "policy"),
        ({"policy_mode": "loud"}, "policy_mode"),
        ({"policy_overrides": {"imagess": []}}, "imagess"),
        (
            {"policy": None, "policy_overrides": {"images": []}, "policy_mode": "warn"},
            "requires the option policy",
        ),
        ({"policy_until": "2030-01-01"}, "policy_until requires policy_mode learn"),
        ({"name": "a b"}, "cannot have a policy"),
        ({"engine": "d13-2"}, "is not supported with engine d13-2"),
        ({"profile": "server"}, "requires profile client"),
        ({"directory": ""}, "directory is missing"),
    ],
)
def test_a_policy_that_the_gate_would_not_take_is_rejected_by_name(options, problem):
    bad = {**POLICED, **options}
    checked = check_clients([{**PLAIN, "name": "good"}, bad])
    (message,) = checked["rejected"]
    assert message.startswith(f"{bad['name']}: ")
    assert problem in message


def test_two_policies_of_one_identity_are_rejected():
    second = {**POLICED, "name": "second", "common_name": "ci", "directory": "/srv/second"}
    (message,) = check_clients([POLICED, {**second, "policy": "test"}])["rejected"]
    assert "second: The identity ci has two different policies" in message
    # The same one admits both certificates.
    checked = check_clients([POLICED, second])
    assert checked["rejected"] == []
    assert checked["policies"][0]["certificate_paths"] == [
        "/etc/wormhole/clients/ci/cert.pem",
        "/srv/second/cert.pem",
    ]


def test_the_policy_of_an_identity_that_is_removed_is_removed():
    gone = {**POLICED, "state": "absent"}
    assert check_clients([gone])["policies"] == [{"identity": "ci", "state": "absent"}]
    assert check_clients([{**PLAIN, "state": "absent"}])["policies"] == []
    stays = {**POLICED, "name": "next", "common_name": "ci", "directory": "/srv/next"}
    assert [task.get("state") for task in check_clients([gone, stays])["policies"]] == [None]


@pytest.mark.parametrize("omit", [object(), "__omit_place_holder__0a1b"])
def test_what_is_omitted_is_left_out(omit):
    checked = check_clients([{**PLAIN, "policy": omit, "policy_mode": omit, "owner": omit}], omit)
    assert (checked["policies"], checked["certificates"]) == ([], [PLAIN])
