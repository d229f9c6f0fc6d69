# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: check_clients
short_description: Check the identities of clients and their policies before anything is changed
version_added: 0.1.0
author: Contributors to the wormhole.docker project (@wormhole-docker)
description:
  - Divides the elements of C(identities_clients) into certificates and policies, and checks the
    policies as the gate will, on the controller.
  - The role C(identities) uses this filter, so that a malformed policy, or two policies for one
    identity, are rejected before a certificate is issued.
positional: omit
options:
  _input:
    description: Clients, each with the keys of C(identities_clients).
    type: list
    elements: dict
    required: true
  omit:
    description: Ansible's variable C(omit). Options with this value are left out, as in a task.
    type: raw
seealso:
  - module: wormhole.docker.wormhole_policy
  - module: wormhole.docker.tls_certificates
"""

EXAMPLES = r"""
- name: Check the policies of clients
  ansible.builtin.assert:
    that: checked.rejected | length == 0
    fail_msg: "{{ checked.rejected | join('; ') }}"
  vars:
    checked: "{{ identities_clients | wormhole.docker.check_clients(omit) }}"
"""

RETURN = r"""
_value:
  description: The result of the check.
  type: dict
  contains:
    rejected:
      description: What is wrong with the policies, one message for each client.
      type: list
      elements: str
    certificates:
      description: The clients without the options of their policies.
      type: list
      elements: dict
    policies:
      description: The policies, as options of M(wormhole.docker.wormhole_policy). Clients with the same
        identity share one.
      type: list
      elements: dict
"""

import posixpath
from dataclasses import replace
from typing import Any, Callable, Iterable, Mapping

from ansible_collections.wormhole.docker.plugins.module_utils._access.spec import (
    ARGUMENTS,
    ENFORCE,
    AccessSpec,
    parse_access,
)
from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import InvalidInput, WormholeError
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.facts import CERTIFICATE_FILE
from ansible_collections.wormhole.docker.plugins.module_utils._glue.wormhole import validate
from ansible_collections.wormhole.docker.plugins.module_utils._policy.policy_file import parse_policy

ABSENT = "absent"


def check_clients(clients: Iterable[Mapping[str, Any]], omit: Any = None) -> dict[str, Any]:
    """Check clients; return what is wrong with them, their certificates and their policies."""
    rejected: list[str] = []
    certificates: list[dict[str, Any]] = []
    found: dict[str, AccessSpec] = {}
    leaving: dict[str, dict[str, Any]] = {}
    for element in clients:
        client = {key: value for key, value in element.items() if not _is(value, omit)}
        certificates.append({key: value for key, value in client.items() if key not in ARGUMENTS})
        try:
            access = _parse(client)
            if access is not None and client.get("state") == ABSENT:
                leaving[access.identity] = {"identity": access.identity, "state": ABSENT}
            elif access is not None:
                found[access.identity] = _joined(found.get(access.identity), access)
        except WormholeError as error:
            rejected.append(f"{client.get('name')}: {error}")
    gone = (task for identity, task in leaving.items() if identity not in found)
    policies = [*map(_task, found.values()), *gone]
    return {"rejected": rejected, "certificates": certificates, "policies": policies}


def _parse(client: Mapping[str, Any]) -> AccessSpec | None:
    """Parse the policy of a client; None if it has none.

    Raises:
        InvalidInput: it is malformed, or the client cannot have one.
    """
    given = {name: client[name] for name in ARGUMENTS if client.get(name) is not None}
    access = parse_access(
        validate(ARGUMENTS, given), str(client.get("common_name") or client.get("name") or "")
    )
    if access is None:
        return None
    parse_policy(access.document)
    if client.get("engine"):
        problem = f"policy {access.preset} is not supported with engine {client['engine']}: the policy belongs to that host"
        remedy = (
            "Run wormhole.docker.wormhole_policy there, with a copy of the certificate in certificate_paths"
        )
        raise InvalidInput("policy", problem=problem, remedy=remedy)
    if client.get("profile", "client") != "client":
        problem = f"policy {access.preset} requires profile client, and the identity has {client['profile']}"
        raise InvalidInput("policy", problem=problem, remedy="Remove policy")
    directory = client.get("directory")
    if not directory or not isinstance(directory, str):
        raise InvalidInput(
            "directory", problem="directory is missing", remedy="Set the directory of the identity"
        )
    return replace(access, certificates=(posixpath.join(directory, CERTIFICATE_FILE),))


def _joined(other: AccessSpec | None, access: AccessSpec) -> AccessSpec:
    """Join the certificates of two clients with one identity.

    Raises:
        InvalidInput: they set different policies.
    """
    if other is None:
        return access
    if not access.same_policy(other):
        subject = f"identity {access.identity}"
        problem = f"The {subject} has two different policies"
        remedy = "Give both the same policy, or give each a common_name of its own"
        raise InvalidInput(subject, problem=problem, remedy=remedy)
    return replace(access, certificates=(*other.certificates, *access.certificates))


def _task(access: AccessSpec) -> dict[str, Any]:
    """Return the options of wormhole_policy."""
    until = {"policy_until": access.until} if access.until else {}
    mode = {"policy_mode": access.mode} if access.mode != ENFORCE else {}
    overrides = {"policy_overrides": dict(access.overrides)} if access.overrides else {}
    own = {
        "identity": access.identity,
        "policy": access.preset,
        "certificate_paths": list(access.certificates),
    }
    return {**own, **mode, **overrides, **until}


def _is(value: Any, omit: Any) -> bool:
    # Up to ansible-core 2.18, it is a text.
    return omit is not None and (value is omit or (isinstance(omit, str) and value == omit))


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"check_clients": check_clients}
