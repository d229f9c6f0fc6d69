# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Conditions in playbooks, roles and targets are strings.

A colon and a space inside an unquoted condition make a mapping of it (YAML 1.2, 7.3.3), which
Ansible rejects only when the task runs.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(
    path
    for folder in ("playbooks", "roles", "tests/integration/targets", "tests/system")
    for path in (ROOT / folder).rglob("*.yml")
)
KEYS = {"that", "when", "until", "failed_when", "changed_when"}


class Loader(yaml.SafeLoader):
    """Reads YAML with Ansible's tags, whose values do not matter here."""


Loader.add_multi_constructor("!", lambda loader, suffix, node: None)


def broken(document):
    """Return each condition of a document that is neither text nor a truth value."""
    if isinstance(document, list):
        return [found for item in document for found in broken(item)]
    if not isinstance(document, dict):
        return []
    found = [item for value in document.values() for item in broken(value)]
    for key in KEYS & set(document):
        conditions = document[key] if isinstance(document[key], list) else [document[key]]
        found += [condition for condition in conditions if not isinstance(condition, (str, bool))]
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_conditions_are_strings(path):
    assert broken(yaml.load(path.read_text(encoding="utf-8"), Loader)) == []


def test_a_condition_that_is_a_mapping_is_found():
    assert broken(yaml.safe_load("- assert:\n    that:\n    - msg is search('no image: x')")) == [
        {"msg is search('no image": "x')"}
    ]
