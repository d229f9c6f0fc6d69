# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What playbook revoke accepts, whom it waits for, and what it removes, by its own expressions."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

ROOT = Path(__file__).resolve().parents[2]
(PLAY,) = yaml.safe_load((ROOT / "playbooks/revoke.yml").read_text(encoding="utf-8"))
ROLE = yaml.safe_load((ROOT / "roles/rotation/vars/main.yml").read_text(encoding="utf-8"))
TASKS = yaml.safe_load((ROOT / "roles/rotation/tasks/revoke.yml").read_text(encoding="utf-8"))
FLEET = {"certificate_authority_scope": "fleet"}


def evaluate(name, variables):
    """Evaluate a variable of the play or the role; expressions refer to each other."""
    hosts = variables.get("hostvars", {"a": {}})
    names = {
        "groups": {"all": list(hosts), "ungrouped": list(hosts)},
        "hostvars": hosts,
        "ansible_play_hosts": list(hosts),
        "ansible_play_hosts_all": list(hosts),
        "inventory_hostname": "a",
        **{name: trust_as_template(text) for name, text in ROLE.items()},
        **{name: trust_as_template(text) for name, text in PLAY["tasks"][0]["vars"].items()},
        **hosts.get("a", {}),
        **variables,
    }
    return Templar(DataLoader(), names).template(names[name])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "none of them"),
        ({"identity": ""}, "strings"),
        ({"identity": " "}, "strings"),
        ({"identity": "", "host": "ci1"}, "strings"),
        ({"identity": ["agent"]}, "strings"),
        ({"host": {"name": "ci1"}}, "strings"),
        ({"host": 7}, "strings"),
        ({"identity": "agent", "authority": "CA"}, "authority, identity"),
        ({"host": "ci1", "authority": "CA"}, "authority, host"),
        ({"identity": "agent", "certificate_authority_certificate_path": "/ca.pem"}, "has no record"),
        ({"identity": "agent", "certificate_authority_certificate_content": "PEM"}, "has no record"),
        ({"identity": "agent"}, ""),
        ({"identity": "agent", "host": "ci1"}, ""),
        ({"host": "ci1"}, ""),
        ({"authority": "wormhole CA ci1"}, ""),
    ],
)
def test_what_is_malformed(given, said):
    found = evaluate("__rotation_malformed", given)
    assert said in found
    assert bool(said) is bool(found)


def test_the_names_are_those_of_the_command():
    given = {"identity": "agent", "host": "ci1", "identity_owner": "1000", "hosts": "x", "my_authority": "y"}
    assert evaluate("rotation_revoked", given) == {"identity": "agent", "host": "ci1"}


def test_nothing_is_touched_before_the_names_are_checked():
    first, second, third = (task for task in TASKS[:3])
    assert first["ansible.builtin.assert"]["that"] == "__rotation_malformed | length == 0"
    assert second["ansible.builtin.import_role"]["tasks_from"] == "revoke"
    assert "ansible.builtin.fail" in third
    assert PLAY["strategy"] == "ansible.builtin.linear"
    assert PLAY["gather_facts"] is False


MARKED = {"known": True, "hosts": ["a", "b"], "removed_identities": ["11"], "replacement_required": True}
UNMARKED = {"known": False, "hosts": ["c"], "removed_identities": [], "replacement_required": False}


def marked(answer, **more):
    return {"inventory_hostname": more.pop("name"), "__certificate_authority_marked": answer, **more}


@pytest.mark.parametrize(
    ("variables", "left"),
    [
        ({}, []),
        ({"ansible_play_hosts": ["a"]}, ["b"]),
        # The record names a host with certificates that is not in the inventory.
        ({"hostvars": {"a": marked(MARKED, name="a")}}, ["b"]),
        ({"rotation_waits_for": ["c"]}, []),
        ({"rotation_waits_for": ["c"], **FLEET}, ["c"]),
    ],
)
def test_the_hosts_that_a_revocation_waits_for(variables, left):
    hosts = {"a": marked(MARKED, name="a"), "b": marked(UNMARKED, name="b")}
    assert evaluate("__rotation_left", {"rotation_waits_for": [], "hostvars": hosts, **variables}) == left


def test_engines_of_other_hosts_whose_authorities_are_replaced():
    hosts = {
        "a": marked(UNMARKED, name="a", rotation_engines=["b", "c", "gone"]),
        "b": marked(MARKED, name="b"),
        "c": marked(UNMARKED, name="c"),
    }
    assert evaluate("__rotation_engines_replaced", {"hostvars": hosts}) == ["b"]
    # An identity for that engine is removed as well.
    assert evaluate("__rotation_removed_identities", {"hostvars": hosts}) == ["11"]
    found = {"certificates": {"/x": {"fingerprint_sha256": "11"}, "/y": {"fingerprint_sha256": "22"}}}
    assert evaluate("__rotation_removed", {"hostvars": hosts, "__certificates_found": found}) == ["/x"]
    assert evaluate("__rotation_replaces", {"hostvars": hosts}) is False


def test_a_host_that_was_not_marked_stands_for_nothing():
    assert evaluate("__rotation_answers", {}) == []
    assert evaluate("__rotation_engines_replaced", {}) == []
    assert evaluate("__rotation_replaces", {}) is False
