# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What docs/policies.md says about presets, overrides, refusals and the audit log is what the code does."""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path

import pytest
import yaml

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import InvalidInput
from ansible_collections.wormhole.docker.plugins.module_utils._gate.audit import Record, render_record
from ansible_collections.wormhole.docker.plugins.module_utils._policy import policy_file
from ansible_collections.wormhole.docker.plugins.module_utils._policy.describe import render_yaml
from ansible_collections.wormhole.docker.plugins.module_utils._policy.images import EVERY_IMAGE
from ansible_collections.wormhole.docker.plugins.module_utils._policy.learn import suggest
from ansible_collections.wormhole.docker.plugins.module_utils._policy.policy import BUILDS, DEFAULT_BRIDGE
from ansible_collections.wormhole.docker.plugins.module_utils._policy.policy_file import PRESETS, parse_policy
from ansible_collections.wormhole.docker.plugins.module_utils._policy.refusal import render_refusal
from ansible_collections.wormhole.docker.plugins.module_utils._policy.routes import CEILING, FLOOR, POWERS
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._policy.test_learn import learned
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._policy.world import create, run

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/policies.md").read_text(encoding="utf-8")
PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("roles/*/README.md")])
BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
OTHERS = [name for name in PRESETS if name != "unrestricted"]


def policy(preset, **overrides):
    return parse_policy({"identity": "agent", "preset": preset, "overrides": overrides})


def blocks(text, language):
    return [textwrap.dedent(content) for _indent, name, content in BLOCK.findall(text) if name == language]


def section(name):
    """The part of the page below a heading."""
    _before, _heading, rest = PAGE.partition(f"# {name}\n")
    assert rest, name
    return re.split(r"^##+ ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def table(text):
    """The first table of a text: a row for each line, without the rule."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in rows if not set(row[0]) <= {"-"}]


def policies(node):
    """Every mapping in a document that sets a policy."""
    if isinstance(node, list):
        return [found for item in node for found in policies(item)]
    if not isinstance(node, dict):
        return []
    inner = [found for value in node.values() for found in policies(value)]
    return ([node] if isinstance(node.get("policy"), str) else []) + inner


def parsed(row):
    """The policy that a mapping with the options of a wormhole sets."""
    document = {"identity": row.get("name", "agent"), "preset": row["policy"]}
    return parse_policy(
        {
            **document,
            "mode": row.get("policy_mode", "enforce"),
            "until": row.get("policy_until"),
            "overrides": row.get("policy_overrides", {}),
        }
    )


def documents(path):
    """The YAML of a page, or the examples of a module."""
    text = path.read_text(encoding="utf-8")
    return re.findall(r'^EXAMPLES = r"""(.*?)"""', text, re.MULTILINE | re.DOTALL) + blocks(text, "yaml")


EXAMPLES = [
    (f"{path.relative_to(ROOT)}-{number}-{index}", row)
    for path in (*PAGES, *sorted(ROOT.glob("plugins/modules/*.py")))
    for number, document in enumerate(documents(path))
    for index, row in enumerate(policies(yaml.safe_load(document)))
]


@pytest.mark.parametrize("row", [row for _name, row in EXAMPLES], ids=[name for name, _row in EXAMPLES])
def test_examples_are_valid_policies(row):
    assert parsed(row).preset == row["policy"]


def test_every_section_has_an_example():
    shown = {name for _page, row in EXAMPLES for name in row.get("policy_overrides", {})}
    assert shown == set(policy_file._SECTIONS)
    # Text is a section's explanation if it names the section.
    assert [name for name in policy_file._SECTIONS if f"`{name}" not in PAGE] == []


def test_the_sections_that_are_merged_are_named():
    (sentence,) = re.findall(r"The sections (.*?) are merged", PAGE, re.DOTALL)
    assert set(re.findall(r"`(\w+)`", sentence)) == set(policy_file.MERGED)


def test_every_preset_is_in_the_list():
    assert sorted(row[0].strip("`") for row in table(section("Choose a preset"))[1:]) == sorted(PRESETS)


def test_powers_are_those_of_the_presets():
    head, *rows = table(section("Powers"))
    names = [cell.strip("`") for cell in head[2:]]
    assert sorted(names) == sorted(OTHERS)
    said = {row[0].strip("`"): dict(zip(names, row[2:], strict=True)) for row in rows}
    assert list(said) == [power for power in POWERS if not power.startswith("build.")]
    for power, cells in said.items():
        assert cells == {name: PRESETS[name]["powers"].get(power, "") for name in names}, power


def reach(*powers):
    """The widest reach of some powers, as far as it concerns what a wormhole has not created."""

    def cell(preset):
        found = {preset.reach(power) for power in powers}
        return "all" if "all" in found else "targets" if "targets" in found else "no"

    return cell


def life(*verbs):
    def cell(preset):
        can = preset.reach("container.life") and (not preset.verbs or set(verbs) & set(preset.verbs))
        return reach("container.life")(preset) if can else "no"

    return cell


def created(answer):
    """What a preset that creates containers does."""

    def cell(preset):
        if preset.reach("container.create") is None:
            return "no"
        return "copies" if preset.recreate else answer(preset)

    return cell


def yes(value):
    return "yes" if value else "no"


ABILITIES = {
    "see names, labels, mounts and command lines of others": reach("list", "inspect"),
    "read values of their environment variables": lambda p: (
        reach("inspect")(p) if p.sight("inspect", "").environment else "no"
    ),
    "list the processes of others": reach("metrics"),
    "read the logs of others": reach("logs", "container.attach"),
    "read or write files in others, or run commands there": reach("files.read", "files.write", "exec"),
    "restart others": life("restart"),
    "stop or remove others": life("stop", "kill", "delete"),
    "remove images of others": reach("image.remove"),
    "create containers": created(lambda p: "yes"),
    "read and run every image in the engine's store": lambda p: yes(EVERY_IMAGE in p.images),
    "use memory and CPUs without limit": created(
        lambda p: yes(p.limits.memory is None and p.limits.cpus is None)
    ),
    "fill the disk": created(lambda p: yes(p.limits.storage is None)),
    "reach others, the host and its network, by a container on the default bridge": created(
        lambda p: yes(DEFAULT_BRIDGE in p.networks)
    ),
    "publish ports of the host": created(
        lambda p: "random" if p.ports.random else yes(p.ports.addresses and p.ports.ranges)
    ),
    "keep containers after its own end": created(lambda p: yes(p.cleanup.mode == "none")),
    "push images to a registry": lambda p: yes(p.reach("push")),
    "build images": lambda p: yes(p.reach("build.classic") or p.reach("build.buildkit")),
}


def test_what_presets_can_do_to_others():
    head, *rows = table(section("What each preset can do to others"))
    names = [cell.strip("`") for cell in head[1:]]
    assert sorted(names) == sorted(OTHERS)
    said = {row[0]: row[1:] for row in rows}
    assert said == {what: [cell(policy(name)) for name in names] for what, cell in ABILITIES.items()}


def test_no_preset_mounts_builds_or_opens_chosen_ports():
    for name in OTHERS:
        found = policy(name)
        assert (found.binds, found.build, found.ports.ranges) == ((), "none", ()), name


@pytest.mark.parametrize("path", ["/etc/docker", "/var/lib/docker", "/proc", "/run"])
def test_directories_that_are_root_are_rejected(path):
    assert f"`{path}`" in section("Directories and volumes")
    with pytest.raises(InvalidInput, match="as good as root"):
        policy("ci", binds=[path])


def test_every_way_to_build_is_explained():
    assert [row[0].strip("`") for row in table(section("Build"))[1:]] == list(BUILDS)


def created_with(preset, host, **overrides):
    found = policy(preset, **overrides)
    return found, create(found, host)


def called(preset, method, target, body=None):
    found = policy(preset)
    return found, run(found, method, target, body)


REFUSALS = [
    created_with("ci", {"Privileged": True}),
    created_with("ci", {"Binds": ["/:/host"]}),
    created_with("ci", {"Binds": ["/srv/build:/src"]}),
    created_with("ci", {"NetworkMode": "host"}),
    created_with("ci", {"PortBindings": {"80/tcp": [{"HostPort": "8080"}]}}),
    created_with("ci", {}, images=["python"]),
    created_with("ci", {}, limits={"containers": 3}),
    called("tend", "POST", "/containers/theirs/stop"),
    called("ci", "POST", "/swarm/init", {}),
    called("ci", "GET", "/containers/theirs/json"),
]


def test_refusals_are_those_that_users_see():
    shown = set()
    for block in blocks(section("What a refusal looks like"), "text"):
        shown.update(block.splitlines())
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    by_the_client = re.findall(r"^docker: Error response from daemon: (.*)$", PAGE + readme, re.MULTILINE)
    assert len(by_the_client) == 2
    produced = [render_refusal(found, deny) for found, deny in REFUSALS]
    assert {*shown, *by_the_client} == set(produced)


def test_the_suggested_policy_is_what_the_module_returns():
    body = {"Image": "python:3.13", "HostConfig": {"Binds": ["/srv/build:/src"]}}
    calls = learned(
        ("GET", "/_ping"),
        ("POST", "/images/create?fromImage=python&tag=3.13"),
        ("POST", "/containers/create?name=new", body),
        ("POST", "/containers/mine/start"),
        ("GET", "/containers/mine/logs?stdout=1"),
        ("POST", "/build?t=ci/app:1"),
        ("POST", "/images/ci%2Fapp:1/push"),
    )
    text = render_yaml(suggest("ci", calls), "2026-12-01T08:00:00Z", "2026-12-08T08:00:00Z")
    assert text in blocks(section("From no policy to `enforce`"), "yaml")


def test_the_fields_of_the_audit_log_are_described():
    line = json.loads(render_record(Record(detail="x"), 0.0, lost=1))
    fields = [name for row in table(section("The audit log"))[1:] for name in re.findall(r"`(\w+)`", row[0])]
    assert fields == list(line)
    (example,) = re.findall(r"^\{.*\}$", section("The audit log"), re.MULTILINE)
    shown = json.loads(example)
    assert list(shown) == [name for name in line if name != "lost"]
    assert shown["detail"] == render_refusal(*REFUSALS[0])


def test_the_versions_of_the_api_are_those_of_the_tables():
    versions = " to ".join(".".join(map(str, version)) for version in (FLOOR, CEILING))
    assert f"API versions {versions}" in " ".join(PAGE.split())


TECNATIVA = """
    ALLOW_RESTARTS ALLOW_STOP ALLOW_START AUTH BUILD COMMIT CONFIGS CONTAINERS DISABLE_IPV6 DISTRIBUTION EVENTS EXEC
    GRPC IMAGES INFO LOG_LEVEL NETWORKS NODES PING PLUGINS POST SECRETS SERVICES SESSION SOCKET_PATH SWARM SYSTEM TASKS
    VERSION VOLUMES BIND_CONFIG
"""
"""Variables of the Dockerfile of Tecnativa/docker-socket-proxy v0.4.1, and BIND_CONFIG of its haproxy.cfg."""
LINUXSERVER = (
    "ALLOW_ARCHIVE ALLOW_CHANGES ALLOW_EXPORT ALLOW_LOGS ALLOW_PAUSE ALLOW_TOP ALLOW_UNPAUSE LIBPOD_…"
)
"""Further variables of the README of linuxserver/docker-socket-proxy 3.4.3-r0-ls92."""


def test_every_variable_of_docker_socket_proxy_has_a_row():
    rows = table(section("From docker-socket-proxy"))[1:]
    named = [name for row in rows for name in re.findall(r"`([^`]+)`", row[0])]
    assert sorted(named) == sorted((TECNATIVA + LINUXSERVER).split())
    known = {*POWERS, *PRESETS, *policy_file._SECTIONS, *BUILDS, *policy_file._VERBS, "own"}
    meant = {name for row in rows for name in re.findall(r"`([^`]+)`", row[1])}
    assert meant - known - {"POST", "ALLOW_RESTARTS"} == set()


def test_mistakes_are_found():
    assert policies([{"vars": {"x": [{"policy": "ci"}, {"policy": None}]}}]) == [{"policy": "ci"}]
    with pytest.raises(InvalidInput):
        parsed({"policy": "ci", "policy_overrides": {"image": ["x"]}})
    assert blocks("1. x\n\n   ```yaml\n   a: 1\n   ```\n", "yaml") == ["a: 1\n"]
    assert table("| a | b |\n| --- | --- |\n| c |  |\n") == [["a", "b"], ["c", ""]]
