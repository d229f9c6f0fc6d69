# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: check_wormholes
short_description: Check the options of wormholes before anything is changed
version_added: 0.1.0
author: Contributors to the wormhole.docker project (@wormhole-docker)
description:
  - Checks the elements of C(wormholes_containers) as M(wormhole.docker.wormhole_container) checks
    its options, on the controller, and whether they contradict each other, such as two policies for
    one identity. Values that depend on the host, such as the names of its networks, are not checked.
  - The role C(wormholes) uses this filter, so that a malformed list is rejected before the first
    host is changed.
positional: omit
options:
  _input:
    description: Wormholes, each with the options of M(wormhole.docker.wormhole_container).
    type: list
    elements: dict
    required: true
  omit:
    description: Ansible's variable C(omit). Options with this value are left out, as in a task.
    type: raw
seealso:
  - module: wormhole.docker.wormhole_container
"""

EXAMPLES = r"""
- name: Check the list of wormholes
  ansible.builtin.assert:
    that: checked.rejected | length == 0
    fail_msg: "{{ checked.rejected | join('; ') }}"
  vars:
    checked: "{{ wormholes_containers | wormhole.docker.check_wormholes(omit) }}"
"""

RETURN = r"""
_value:
  description: The result of the check.
  type: dict
  contains:
    rejected:
      description: What is wrong with the list, one message for each malformed wormhole, and one for
        the first contradiction.
      type: list
      elements: str
    identities:
      description: Client certificates that the wormholes need, as elements of the option
        C(certificates) of M(wormhole.docker.tls_certificates).
      type: list
      elements: dict
"""

from typing import Any, Callable, Iterable, Mapping

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import WormholeError
from ansible_collections.wormhole.docker.plugins.module_utils._engine.io.sdk import parse_socket_path
from ansible_collections.wormhole.docker.plugins.module_utils._glue.wormhole import (
    listed_identity,
    parse_wormhole,
    validate_wormhole,
)
from ansible_collections.wormhole.docker.plugins.module_utils._wormhole.shared import (
    Wanted,
    reject_contradictions,
)


def check_wormholes(wormholes: Iterable[Mapping[str, Any]], omit: Any = None) -> dict[str, Any]:
    """Check wormholes, and return what is wrong with them and which identities they need."""
    rejected: list[str] = []
    wanted: list[Wanted] = []
    identities: dict[str, dict[str, Any]] = {}
    for options in _without(wormholes, omit):
        try:
            params = validate_wormhole(options)
            spec, identity = parse_wormhole(params, parse_socket_path(params["docker_host"]))
        except WormholeError as error:
            rejected.append(f"{options.get('name')}: {error}")
            continue
        wanted.append((spec, identity))
        if identity is not None:
            # Wormholes may share an identity.
            identities[identity.directory] = listed_identity(params, spec, identity)
    try:
        reject_contradictions(wanted)
    except WormholeError as error:
        rejected.append(str(error))
    return {"rejected": rejected, "identities": list(identities.values())}


def _without(value: Any, omit: Any) -> Any:
    """Return a value without everything in it that is omitted. Ansible does the same for tasks."""
    if isinstance(value, Mapping):
        return {key: _without(item, omit) for key, item in value.items() if not _is(item, omit)}
    if isinstance(value, (list, tuple)):
        return [_without(item, omit) for item in value if not _is(item, omit)]
    return value


def _is(value: Any, omit: Any) -> bool:
    # Up to ansible-core 2.18, it is a text.
    return omit is not None and (value is omit or (isinstance(omit, str) and value == omit))


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"check_wormholes": check_wormholes}
