# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every option of wormhole_container is documented and tested, or gives a reason why not."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ansible_collections.wormhole.docker.plugins.doc_fragments import container
from ansible_collections.wormhole.docker.plugins.module_utils._container import attachments
from ansible_collections.wormhole.docker.plugins.module_utils._container.options import arguments
from ansible_collections.wormhole.docker.plugins.module_utils._glue.certificates import SIGNING_ARGUMENTS
from ansible_collections.wormhole.docker.plugins.module_utils._glue.wormhole import WORMHOLE_ARGUMENTS
from ansible_collections.wormhole.docker.plugins.module_utils._wormhole import fixed_options
from ansible_collections.wormhole.docker.plugins.modules import wormhole_container
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._container.test_options import (
    MALFORMED,
)
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._wormhole.test_plan import (
    MALFORMED_PARAMETERS,
)

OPTIONS = {**SIGNING_ARGUMENTS, **WORMHOLE_ARGUMENTS}
OF_A_CONTAINER = {*arguments(), *attachments.ARGUMENTS, "default_host_ip"}
TARGET = Path(wormhole_container.__file__).parents[2] / "tests/integration/targets/wormhole_container"
LIMITS = TARGET.parents[2] / "system/plays/resource_limits.yml"
REFERENCE = LIMITS.with_name("like_docker_container.yml")

ELSEWHERE = "their content is checked by its reader; see _certificates/test_spec.py and _certificates/io/test_authority.py"
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
            *("engine", "engine_address"),
        ),
        ELSEWHERE,
    ),
    **dict.fromkeys(("cgroup_parent", "runtime", "volume_driver"), "any name; the engine decides"),
    **dict.fromkeys(("dns_opts", "dns_search_domains"), "any text; the resolver in the image decides"),
    "docker_host": "rejected by the connection; see _engine/io/test_sdk.py",
    "policy_overrides": "rejected on the controller; see _policy/test_policy_file.py",
    "policy_until": "rejected on the controller, and without policy_mode learn; see _access/test_spec.py",
    "env_file": "a path; parse_env_file rejects malformed content",
    "healthy_wait_timeout": "any number; 0 and less mean no limit",
    **dict.fromkeys(("timeout", "removal_wait_timeout"), "any number of seconds"),
}
"""Options without a malformed case. Booleans and choices need none, because Ansible checks them."""

NOT_IN_THE_MATRIX = {
    **dict.fromkeys(("engine", "engine_address"), "needs another host; see system/test_engines.py"),
    **dict.fromkeys(("adopt", "image", "pull", "port", "docker_host"), "tried in tasks/refusals.yml"),
    **dict.fromkeys(
        ("auto_remove", "cleanup", "detach", "force_kill", "healthy_wait_timeout"), "tried in tasks/jobs.yml"
    ),
    **dict.fromkeys(("state", "recreate", "restart", "paused"), "tried in tasks/life.yml"),
    **dict.fromkeys(
        (
            *("image_name_mismatch", "image_label_mismatch", "output_logs", "removal_wait_timeout"),
            *("return_environment",),
            *("unsupported_limits", "debug"),
        ),
        "not in the inspection; see system/test_like_docker_container.py and _wormhole/test_plan.py",
    ),
    **dict.fromkeys(set(fixed_options.ARGUMENTS) - {"debug"}, "one value only; see _wormhole/test_plan.py"),
    **dict.fromkeys(
        ("name", "identity", "identity_directory", "identity_managed"), "names that the target uses"
    ),
    **dict.fromkeys(
        (
            *("authority", "issued", "ca_replace", "ca_directory", "ca_passphrase", "ca_trusted_content"),
            *(
                "ca_certificate_path",
                "ca_certificate_content",
                "ca_private_key_path",
                "ca_private_key_content",
            ),
            *("identity_key_type", "identity_owner", "identity_validity_days", "identity_renew_before_days"),
        ),
        "not options of a container; see tasks/identity.yml and the targets certificate_*",
    ),
    "blkio_weight": "not supported by the lab's kernels; rejected in the contract",
    "device_requests": "no such device in the lab; created in the contract",
    "storage_opts": "no quota on the lab's file system; created or rejected in the contract",
    "volume_driver": "only the local driver in the lab; created in the contract",
    "certificate_path": "the mount is tested in _wiring/test_wire.py",
    "discover": "has its own scenarios",
    "insecure_plaintext_port": "has its own scenarios, as transport tcp",
    "shared_directory": "has its own scenarios",
    "testcontainers": "has its own scenarios",
    **dict.fromkeys(
        ("policy", "policy_mode", "policy_overrides", "policy_until"),
        "not an option of a container; see system/test_policies.py",
    ),
    "keep_volumes": "_wormhole/io/test_container.py; not visible in the inspection",
    "kill_signal": "_wormhole/io/test_container.py",
    "platform": "images for one platform in the lab; see _wormhole/test_plan.py",
    "timeout": "not an option of a container",
    "verify": "always true in the matrix; see _wormhole/io/test_container.py",
}
"""Options without a row in the matrix."""

NOT_COMPARED = {
    **dict.fromkeys(
        (
            *("device_read_bps", "device_read_iops", "device_write_bps", "device_write_iops"),
            *("cgroup_parent", "cpu_period", "cpu_quota", "memory_swappiness", "oom_killer"),
        ),
        "tried in system/plays/resource_limits.yml, not compared with docker_container",
    ),
    **dict.fromkeys(
        ("blkio_weight", "device_requests", "network_mode", "pid_mode", "storage_opts", "uts"),
        "created in the contract, not compared with docker_container",
    ),
    "default_host_ip": "tried in the matrix, not compared with docker_container",
}
"""Options of a container without a case in the comparison with docker_container."""


def rows():
    """Return the rows of the target, and those for an engine that supports limits."""
    (play,) = yaml.safe_load(LIMITS.read_text(encoding="utf-8"))
    target = yaml.safe_load((TARGET / "defaults" / "main.yml").read_text(encoding="utf-8"))
    return [*target["options"], *play["vars"]["options"]]


def test_every_option_has_a_malformed_case_or_a_reason():
    named = {name for values, _message in (*MALFORMED, *MALFORMED_PARAMETERS) for name in values}
    open_ended = {
        name for name, entry in OPTIONS.items() if entry["type"] != "bool" and "choices" not in entry
    }
    assert open_ended - named == set(NO_MALFORMED)


def test_every_option_is_in_the_matrix_or_has_a_reason():
    tried = {name for row in rows() for step in ("first", "second") for name in row[step]}
    assert tried <= set(OPTIONS)
    assert set(OPTIONS) - tried == set(NOT_IN_THE_MATRIX)


def test_every_option_of_a_container_is_compared_with_docker_container_or_has_a_reason():
    (play,) = yaml.safe_load(REFERENCE.read_text(encoding="utf-8"))
    compared = {name for case in play["vars"]["cases"].values() for name in case}
    assert compared <= set(OPTIONS)
    assert OF_A_CONTAINER - compared == set(NOT_COMPARED)


def test_the_fragment_documents_exactly_the_options_of_a_container():
    documented = yaml.safe_load(container.ModuleDocFragment.DOCUMENTATION)["options"]
    assert set(documented) == OF_A_CONTAINER


@pytest.mark.parametrize("step", ["before", "after"])
def test_expected_values_belong_to_changed_options(step):
    for row in rows():
        assert set(row.get(step, ())) <= set(row["second"])


@pytest.mark.parametrize(
    "name, file",
    [(n, w.rpartition(" ")[2]) for n, w in NOT_IN_THE_MATRIX.items() if w.startswith("tried in")],
)
def test_options_outside_of_the_matrix_are_used_in_the_named_file(name, file):
    texts = [TARGET / "defaults" / "main.yml", *(TARGET / "tasks").glob("*.yml")]
    text = "".join(
        path.read_text(encoding="utf-8")
        for path in texts
        if path.name in (file.partition("/")[2], "main.yml", "refusals.yml")
    )
    assert f"{name}:" in text


@pytest.mark.parametrize("task", yaml.safe_load(wormhole_container.EXAMPLES), ids=lambda task: task["name"])
def test_examples_name_existing_options(task):
    given = task["wormhole.docker.wormhole_container"]
    assert set(given) <= set(OPTIONS)
    for name, value in given.items():
        known = set(OPTIONS[name].get("options") or ())
        for part in value if isinstance(value, list) else [value]:
            assert not known or set(part) <= known


def test_output_is_documented_where_it_is_returned():
    returned = yaml.safe_load(wormhole_container.RETURN)
    assert "Output" in returned["container"]["contains"]
    assert "contains" not in returned["certificates"]
