# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._core.container_networks import (
    Attachment,
    find_attachment_deviations,
    parse_attachments,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.container_options import (
    OPTIONS,
    arguments,
    find_deviations,
    find_unsupported,
    merge_options,
    parse_options,
    render_body,
    render_update,
    show_values,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._adapters.engine_contract import (
    OPTION_VALUES,
)


def container(**values):
    """An inspection that holds what these parameters ask for."""
    body = render_body(parse_options(values))
    host_config = body.pop("HostConfig", {})
    return {"Config": body, "HostConfig": host_config}


def texts(values, found):
    return [deviation.text for deviation in find_deviations(parse_options(values), found)]


def test_the_contract_covers_every_option():
    assert set(OPTION_VALUES) == {option.name for option in OPTIONS}


def test_parameters_become_one_argument_each():
    assert set(arguments()) == set(OPTION_VALUES) | {"restart_retries"}


@pytest.mark.parametrize("option", sorted(OPTION_VALUES))
def test_an_option_that_is_not_set_is_neither_rendered_nor_compared(option):
    assert parse_options({option: None}) == {}
    assert find_deviations({}, container(**{option: OPTION_VALUES[option][0]})) == ()


@pytest.mark.parametrize("option", sorted(OPTION_VALUES))
def test_an_option_reads_back_and_its_change_is_seen(option):
    first, second = OPTION_VALUES[option]
    assert texts({option: first}, container(**{option: first})) == []
    assert texts({option: second}, container(**{option: first}))


@pytest.mark.parametrize(
    "values, found, expected",
    [
        (
            {"env": {"A": "2"}},
            {"env": {"A": "1"}},
            ["env A: expected another value (hidden), found (hidden)"],
        ),
        ({"env": {"A": "1"}}, {}, ["env A: expected (hidden), found nothing"]),
        ({"labels": {"a": "b"}}, {"labels": {"a": "c", "d": "e"}}, ["labels a: expected b, found c"]),
        ({"volumes": ["/a:/b"]}, {"volumes": ["/a:/b:ro"]}, ["volumes: expected /a:/b, found nothing"]),
        ({"user": "5"}, {}, ["user: expected 5, found nothing"]),
        ({"command": "a b"}, {"command": ["a"]}, ["command: expected [a, b], found [a]"]),
        ({"restart_policy": "always"}, {}, ["restart_policy Name: expected always, found no"]),
        (
            {"restart_policy": "on-failure", "restart_retries": 3},
            {"restart_policy": "on-failure"},
            ["restart_policy MaximumRetryCount: expected 3, found nothing"],
        ),
        ({"network_mode": "default"}, {}, []),
        ({"network_mode": "bridge"}, {"network_mode": "default"}, []),
        ({"working_dir": "/a/"}, {"working_dir": "/a"}, []),
        ({"init": False}, {}, []),
        ({"groups": ["5"]}, {"groups": ["6", "5"]}, []),
        ({"command": []}, {"command": ["a"]}, []),
    ],
)
def test_deviations_in_words(values, found, expected):
    assert texts(values, container(**found)) == expected


def test_values_that_may_be_secrets_are_not_shown():
    values = parse_options({"env": {"TOKEN": "s3cret", "DOCKER_HOST": "tcp://172.17.0.1:2376"}})
    found = container(env={"TOKEN": "0ther", "DOCKER_HOST": "unix:///x"})
    shown = [
        show_values(values),
        *find_deviations(values, found),
        *texts(values["env"] and {"env": values["env"]}, found),
    ]
    assert "s3cret" not in str(shown)
    assert "0ther" not in str(shown)
    assert "tcp://172.17.0.1:2376" in str(shown)


@pytest.mark.parametrize(
    "values, expected",
    [
        ({"restart_policy": "always"}, {"RestartPolicy": {"Name": "always"}}),
        ({"memory": "1k"}, {"Memory": 1024, "MemorySwap": 2048}),
        (
            {"memory": "1k", "restart_policy": "no"},
            {"Memory": 1024, "MemorySwap": 2048, "RestartPolicy": {"Name": "no"}},
        ),
        ({"memory": "0"}, None),
        ({"memory": "1k", "user": "5"}, None),
        ({}, {}),
    ],
)
def test_what_is_updated_in_place(values, expected):
    parsed = parse_options(values)
    assert render_update(parsed, parsed) == expected


def test_wiring_is_merged_into_what_is_set():
    own = {"env": {"A": "b"}, "groups": ("5",), "user": "7"}
    added = {"env": {"C": "d"}, "groups": ("5", "6"), "volumes": ("/a:/b",), "labels": {}}
    assert merge_options(own, added) == {
        "env": {"A": "b", "C": "d"},
        "groups": ("5", "6"),
        "volumes": ("/a:/b",),
        "user": "7",
    }
    assert own["env"] == {"A": "b"}


def test_what_the_engine_would_ignore_is_found():
    values = parse_options({"memory": "1m", "user": "5"})
    assert find_unsupported(values, {"MemoryLimit": False}) == ("memory",)
    assert find_unsupported(values, {"MemoryLimit": True}) == ()
    assert find_unsupported(values, {}) == ()


@pytest.mark.parametrize(
    "values, message",
    [
        ({"command": "a 'b"}, "command: expected words as a shell splits them"),
        ({"command": {"a": "b"}}, "command: expected a list of strings or a string, found dict"),
        ({"command": ["a", True]}, "command: expected strings only"),
        ({"working_dir": "tmp"}, "working_dir: expected an absolute path, found tmp"),
        ({"restart_retries": 3}, "restart_retries: expected restart_policy on-failure beside it, found no"),
        ({"restart_policy": "always", "restart_retries": 3}, "restart_retries: .*found always"),
        (
            {"restart_policy": "on-failure", "restart_retries": -1},
            "restart_retries: expected a number from 0 on",
        ),
        ({"network_mode": " "}, "network_mode: expected"),
        ({"network_mode": "container:a"}, "network_mode: expected networks of the wormhole's own"),
        ({"labels": {"a": 1}}, "labels a: expected a string, found int"),
    ],
)
def test_malformed_options_are_refused_in_one_sentence(values, message):
    with pytest.raises(InvalidInput, match=f"^{message}"):
        parse_options(values)


# -- networks --------------------------------------------------------------------------------------


def attached(**networks):
    return {"NetworkSettings": {"Networks": networks}}


CI = Attachment("ci", aliases=("a",), ipv4_address="172.18.0.9")


@pytest.mark.parametrize(
    "found, expected",
    [
        (attached(ci=CI.render()), []),
        (attached(ci={**CI.render(), "Aliases": ["0123456789ab", "a"]}, other={}), []),
        (attached(other={}), ["networks ci: expected attached, found nothing"]),
        (attached(ci={**CI.render(), "Aliases": None}), ["networks ci: expected alias a, found nothing"]),
        (
            attached(ci={"Aliases": ["a"], "IPAMConfig": {"IPv4Address": "172.18.0.8"}}),
            ["networks ci: expected 172.18.0.9, found 172.18.0.8"],
        ),
        (
            attached(ci={"Aliases": ["a"], "IPAMConfig": None}),
            ["networks ci: expected 172.18.0.9, found nothing"],
        ),
    ],
)
def test_attachments_in_words(found, expected):
    assert [item.deviation.text for item in find_attachment_deviations((CI,), found)] == expected


def test_addresses_are_compared_by_value():
    attachment = parse_attachments([{"name": "ci", "ipv6_address": "fd00:0::9"}], "")[0]
    assert (
        find_attachment_deviations([attachment], attached(ci={"IPAMConfig": {"IPv6Address": "fd00::0:9"}}))
        == ()
    )


@pytest.mark.parametrize(
    "items, mode, message",
    [
        ([{"name": "a"}, {"name": "a"}], "", "networks a: expected to be named once, found 2 times"),
        ([{"name": "host"}], "", "networks host: expected a network that can be joined"),
        ([{"name": "a"}], "none", "network_mode none: expected no networks beside it, found a"),
        ([{"name": "a"}], "container:b", "network_mode container:b: expected no networks beside it, found a"),
        ([{"name": ""}], "", "networks: expected the name of a network"),
        ([{"name": "bridge", "aliases": ["x"]}], "", "networks bridge: expected no aliases"),
        (
            [{"name": "a", "ipv4_address": "fd00::1"}],
            "",
            "networks a: expected an IPv4 address, found fd00::1",
        ),
        ([{"name": "a", "ipv6_address": "1.2.3.4/5"}], "", "networks a: expected an IPv6 address"),
    ],
)
def test_malformed_networks_are_refused_in_one_sentence(items, mode, message):
    with pytest.raises(InvalidInput, match=f"^{message}"):
        parse_attachments(items, mode)
