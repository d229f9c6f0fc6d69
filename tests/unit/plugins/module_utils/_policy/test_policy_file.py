# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Policies as data: presets, overrides, and what is wrong with them."""

from __future__ import annotations

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import InvalidInput
from ansible_collections.wormhole.docker.plugins.module_utils._policy.policy import Bind, Limits, Ports
from ansible_collections.wormhole.docker.plugins.module_utils._policy.policy_file import (
    PRESETS,
    SECTIONS,
    parse_policy,
)
from ansible_collections.wormhole.docker.plugins.module_utils._policy.routes import POWERS, ROUTES
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._policy.world import (
    RESTRICTED,
    make_policy,
)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_a_policy(preset):
    policy = make_policy(preset)
    assert policy.preset == preset
    assert set(PRESETS[preset]) <= set(SECTIONS)
    assert set(policy.powers) <= set(POWERS)


def test_only_unrestricted_builds_by_default():
    builders = [name for name in PRESETS if make_policy(name).reach("build.buildkit")]
    assert builders == ["unrestricted"]


def test_reading_presets_change_nothing():
    for preset in ("observe", "discover"):
        policy = make_policy(preset)
        changing = {route.power for route in ROUTES.values() if route.method not in ("GET", "HEAD")}
        assert not [power for power in changing if policy.reach(power)]


def test_environments_of_others_are_shown_by_two_presets():
    assert [name for name in PRESETS if make_policy(name).environment] == ["update", "unrestricted"]


def test_overrides_replace_sections_and_keys():
    policy = make_policy(
        "test",
        images=["python"],
        binds=["/srv/a", {"path": "/srv/b", "below": True, "read_only": True}],
        ports={"ranges": ["8000-8010", 9000]},
        limits={"memory": "512m", "cpus": 1.5, "containers": 3, "pids": None},
        powers={"exec": "none", "df": "all"},
        cleanup={"after": "5m"},
    )
    assert policy.images == ("python",)
    assert policy.binds == (Bind("/srv/a"), Bind("/srv/b", True, True))
    assert policy.ports == Ports(("*",), ((8000, 8010), (9000, 9000)), True)
    assert policy.limits.memory == 512 << 20
    assert policy.limits.cpus == 1_500_000_000
    assert policy.limits.containers == 3
    assert policy.limits.pids is None
    assert policy.limits.networks == Limits(networks=30).networks
    assert policy.reach("exec") is None
    assert policy.reach("df") == "all"
    assert (policy.cleanup.mode, policy.cleanup.after) == ("remove", 300)
    assert policy.tags == ("ci/**",)


@pytest.mark.parametrize(
    "text, size",
    [("1", 1), (5, 5), ("1k", 1024), ("2M", 2 << 20), ("1.5g", 3 << 29), ("1gb", 1 << 30), ("1T", 1 << 40)],
)
def test_sizes(text, size):
    assert make_policy("test", limits={"memory": text}).limits.memory == size


def test_a_version_changes_with_the_policy():
    one, same, other = (make_policy("test", images=[name]) for name in ("a", "a", "b"))
    assert one.version == same.version != other.version
    assert make_policy("test").version != make_policy("ci").version


def test_directories_beside_those_of_the_host_may_be_mounted():
    assert (
        len(make_policy("test", binds=["/var/lib/dockerdata", "/etcetera", "/development", "/run/app"]).binds)
        == 4
    )


@pytest.mark.parametrize("mode, relays", [("learn", True), ("warn", True), ("enforce", False)])
def test_modes(mode, relays):
    assert make_policy("test", mode).relays is relays
    assert make_policy("unrestricted").relays


WRONG = [
    ([], "policy"),
    ({}, "policy.identity"),
    ({"identity": "a b", "preset": "test"}, "policy.identity"),
    ({"identity": "ci", "preset": "tests"}, "policy.preset"),
    ({"identity": "ci", "preset": ["test"]}, "policy.preset"),
    ({"identity": "ci", "preset": "test", "mode": "off"}, "policy.mode"),
    ({"identity": "ci", "preset": "test", "unknown": 1}, "policy.unknown"),
    ({"identity": "ci", "preset": "test", "overrides": []}, None),
    ({"identity": "ci", "preset": "test", "overrides": ["a"]}, "policy_overrides"),
]


@pytest.mark.parametrize("data, subject", WRONG)
def test_what_is_wrong_with_a_file_is_named(data, subject):
    if subject is None:
        assert parse_policy(data).preset == "test"
        return
    with pytest.raises(InvalidInput) as raised:
        parse_policy(data)
    assert raised.value.subject == subject
    assert raised.value.remedy


@pytest.mark.parametrize(
    "section, value, subject",
    [
        ("unknown", 1, "unknown"),
        ("images", "python", "images"),
        ("images", [""], "images"),
        ("pinned", ["alpine"], "pinned"),
        ("pinned", {"alpine": "sha256:12"}, "pinned"),
        ("pinned", {"a b": "sha256:" + "ab" * 32}, "pinned"),
        ("pinned", {"alpine@sha256:" + "ab" * 32: "sha256:" + "ab" * 32}, "pinned"),
        ("images", ["a b"], "images[0]"),
        ("tags", ["ci/**", "(x)"], "tags[1]"),
        ("binds", "/srv", "binds"),
        ("binds", ["srv"], "binds[0].path"),
        ("binds", ["/var/run/docker.sock"], "binds[0].path"),
        ("binds", ["/run"], "binds[0].path"),
        ("binds", ["/etc"], "binds[0].path"),
        ("binds", ["/var"], "binds[0].path"),
        ("binds", ["/proc/sys"], "binds[0].path"),
        ("binds", ["/srv", "/etc/wormhole/identities/other"], "binds[1].path"),
        ("binds", ["/"], "binds[0].path"),
        ("binds", ["/srv/"], "binds[0].path"),
        ("binds", ["/srv/../etc"], "binds[0].path"),
        ("binds", [{"path": "/srv", "recursive": True}], "binds[0].recursive"),
        ("networks", ["host"], "networks[0]"),
        ("subnets", ["10.0.0.1/8"], "subnets[0]"),
        ("subnets", ["10.0.0.1"], "subnets[0]"),
        ("ports", {"ranges": ["0-10"]}, "ports.ranges[0]"),
        ("ports", {"ranges": ["20-10"]}, "ports.ranges[0]"),
        ("ports", {"ranges": ["http"]}, "ports.ranges[0]"),
        ("ports", {"addresses": ["localhost"]}, "ports.addresses[0]"),
        ("ports", {"random": "yes"}, "ports.random"),
        ("names", {"prefix": "-x"}, "names.prefix"),
        ("labels", {"required": {"a": 1}}, "labels.required.a"),
        ("limits", {"memory": "much"}, "limits.memory"),
        ("limits", {"memory": True}, "limits.memory"),
        ("limits", {"cpus": 0}, "limits.cpus"),
        ("limits", {"pids": -1}, "limits.pids"),
        ("limits", {"disk": 1}, "limits.disk"),
        ("powers", {"root": "all"}, "powers.root"),
        ("powers", {"build.buildkit": "all"}, "powers.build.buildkit"),
        ("powers", {"exec": "everything"}, "powers.exec"),
        ("verbs", ["explode"], "verbs[0]"),
        ("restart", ["sometimes"], "restart[0]"),
        ("cleanup", {"mode": "later"}, "cleanup.mode"),
        ("cleanup", {"after": "soon"}, "cleanup.after"),
        ("build", "docker", "build"),
        ("level", "privileged", "level"),
        ("environment", "yes", "environment"),
    ],
)
def test_what_is_wrong_with_an_override_is_named(section, value, subject):
    with pytest.raises(InvalidInput) as raised:
        make_policy("test", **{section: value})
    assert raised.value.subject == f"policy_overrides.{subject}"
    assert raised.value.remedy


@pytest.mark.parametrize(
    "change, subject", [({"limits": {"memory": "1g"}}, "limits"), ({"images": ["**"]}, "images")]
)
def test_the_level_restricted_needs_limits_and_images(change, subject):
    assert make_policy("test", **RESTRICTED).restricted
    with pytest.raises(InvalidInput) as raised:
        make_policy("test", **{**RESTRICTED, **change})
    assert raised.value.subject == f"policy_overrides.{subject}"


def test_contradictions_are_rejected():
    # Nothing of it gets an owner, so nothing could be cleaned up.
    for overrides in ({"images": ["a"]}, {"cleanup": {"mode": "stop"}}):
        with pytest.raises(InvalidInput, match="nothing can be overridden"):
            make_policy("unrestricted", **overrides)
    with pytest.raises(InvalidInput, match="no targets"):
        make_policy("discover", targets={"labels": []})
    with pytest.raises(InvalidInput, match="reserved"):
        make_policy("test", names={"prefix": "other-x", "reserved": ["other-"]})
