# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the options of wormhole_container are tested, by the module's own specification; what is not says why."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ansible_collections.wormhole.docker.plugins.module_utils._glue.certificates import SIGNING_ARGUMENTS
from ansible_collections.wormhole.docker.plugins.module_utils._glue.wormhole import WORMHOLE_ARGUMENTS
from ansible_collections.wormhole.docker.plugins.modules import wormhole_container
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._core.test_container_options import (
    MALFORMED,
)
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._core.test_wormhole_plan import (
    MALFORMED_PARAMETERS,
)

OPTIONS = {**SIGNING_ARGUMENTS, **WORMHOLE_ARGUMENTS}
TARGET = Path(wormhole_container.__file__).parents[2] / "tests/integration/targets/wormhole_container"
LIMITS = TARGET.parents[2] / "system/plays/resource_limits.yml"

ELSEWHERE = (
    "what they hold is judged where it is read; see test_certificate_specs.py and test_authority_store.py"
)
NO_MALFORMED = {
    **dict.fromkeys(
        (
            *("authority", "issued", "ca_directory", "ca_passphrase", "ca_trusted_content"),
            *(
                "ca_certificate_path",
                "ca_certificate_content",
                "ca_private_key_path",
                "ca_private_key_content",
            ),
            *("identity_validity_days", "identity_renew_before_days"),
        ),
        ELSEWHERE,
    ),
    **dict.fromkeys(
        ("cgroup_parent", "runtime", "volume_driver"), "any name; the engine knows which there are"
    ),
    **dict.fromkeys(("dns_opts", "dns_search_domains"), "any text; the resolver in the image knows"),
    "docker_host": "refused by the connection; see test_engine.py",
    "env_file": "a path; what the file holds is refused by parse_env_file",
    "healthy_wait_timeout": "any number; those below 0 mean for ever",
    "timeout": "any number of seconds",
}
"""Options without a malformed case. Booleans and choices need none: Ansible itself refuses what is neither."""

NOT_IN_THE_MATRIX = {
    **dict.fromkeys(("adopt", "image", "pull", "port", "docker_host"), "tried in tasks/refusals.yml"),
    **dict.fromkeys(
        ("auto_remove", "cleanup", "detach", "force_kill", "healthy_wait_timeout"), "tried in tasks/jobs.yml"
    ),
    **dict.fromkeys(("state", "recreate"), "tried in tasks/life.yml"),
    **dict.fromkeys(
        ("name", "identity", "identity_directory", "identity_managed"), "how the target names what it makes"
    ),
    **dict.fromkeys(
        (
            *("authority", "issued", "ca_directory", "ca_passphrase", "ca_trusted_content"),
            *(
                "ca_certificate_path",
                "ca_certificate_content",
                "ca_private_key_path",
                "ca_private_key_content",
            ),
            *("identity_key_type", "identity_validity_days", "identity_renew_before_days"),
        ),
        "no options of a container; tasks/identity.yml and targets certificate_*",
    ),
    "blkio_weight": "no kernel of the lab has it; refused in the contract",
    "device_requests": "the lab has no device that a driver finds; created in the contract",
    "storage_opts": "the lab's file system has no quota; created or refused in the contract",
    "volume_driver": "the lab has the local one alone; created in the contract",
    "certificate_path": "a scenario goes another way; see test_wiring.py for where it is mounted",
    "discover": "has scenarios of its own",
    "insecure_plaintext_port": "has scenarios of its own, as transport tcp",
    "shared_directory": "has scenarios of its own",
    "testcontainers": "has scenarios of its own",
    "keep_volumes": "test_wormhole_host.py; no difference that the matrix could see",
    "kill_signal": "test_wormhole_host.py",
    "platform": "the lab has images for one alone; test_wormhole_plan.py",
    "timeout": "no option of a container",
    "verify": "the matrix wants each of its containers proved; test_wormhole_host.py",
}
"""Options that the matrix has no row for."""


def rows():
    """Those of the target, and those that need an engine which can limit something."""
    (play,) = yaml.safe_load(LIMITS.read_text(encoding="utf-8"))
    target = yaml.safe_load((TARGET / "defaults" / "main.yml").read_text(encoding="utf-8"))
    return [*target["options"], *play["vars"]["options"]]


def test_every_option_has_a_malformed_case_or_a_reason_for_none():
    named = {name for values, _message in (*MALFORMED, *MALFORMED_PARAMETERS) for name in values}
    open_ended = {
        name for name, entry in OPTIONS.items() if entry["type"] != "bool" and "choices" not in entry
    }
    assert open_ended - named == set(NO_MALFORMED)


def test_every_option_is_in_the_matrix_or_has_a_reason_not_to_be():
    tried = {name for row in rows() for step in ("first", "second") for name in row[step]}
    assert tried <= set(OPTIONS)
    assert set(OPTIONS) - tried == set(NOT_IN_THE_MATRIX)


@pytest.mark.parametrize("step", ["before", "after"])
def test_values_are_expected_of_options_that_change(step):
    for row in rows():
        assert set(row.get(step, ())) <= set(row["second"])


@pytest.mark.parametrize(
    "name, file",
    [(n, w.rpartition(" ")[2]) for n, w in NOT_IN_THE_MATRIX.items() if w.startswith("tried in")],
)
def test_what_is_tried_elsewhere_is(name, file):
    texts = [TARGET / "defaults" / "main.yml", *(TARGET / "tasks").glob("*.yml")]
    text = "".join(
        path.read_text(encoding="utf-8")
        for path in texts
        if path.name in (file.partition("/")[2], "main.yml", "refusals.yml")
    )
    assert f"{name}:" in text


@pytest.mark.parametrize("task", yaml.safe_load(wormhole_container.EXAMPLES), ids=lambda task: task["name"])
def test_examples_name_options_that_there_are(task):
    given = task["wormhole.docker.wormhole_container"]
    assert set(given) <= set(OPTIONS)
    for name, value in given.items():
        known = set(OPTIONS[name].get("options") or ())
        for part in value if isinstance(value, list) else [value]:
            assert not known or set(part) <= known


def test_what_a_container_has_written_is_documented_where_it_is_returned():
    returned = yaml.safe_load(wormhole_container.RETURN)
    assert "Output" in returned["container"]["contains"]
    assert "contains" not in returned["certificates"]
