# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which identities a list of wormholes needs."""

from __future__ import annotations

from typing import Any, Iterable, Mapping

from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import InvalidInput

DIRECTORY = "/etc/wormhole/identities"


def identities_of(wormholes: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The client certificates that these wormholes need, as module tls_certificates takes them.

    A wormhole needs one where its transport is tls, unless it is to be absent. The certificate's directory belongs to
    the user that runs in the container: ``identity_owner``, else the numbers in ``user``, else root.

    Args:
        wormholes: options of module wormhole_container, and ``identity_owner``.

    Raises:
        InvalidInput: an element has no name, or two wormholes want one identity with different owners.
    """
    found: dict[str, dict[str, Any]] = {}
    for wormhole in wormholes:
        if not wormhole.get("name"):
            raise InvalidInput(
                "a wormhole", expected="a name", found=f"only {', '.join(wormhole) or 'nothing'}"
            )
        if wormhole.get("transport", "tls") != "tls" or wormhole.get("state") == "absent":
            continue
        name = str(wormhole.get("identity") or wormhole["name"])
        owner, group = _owner(wormhole)
        identity = {
            "name": name,
            "profile": "client",
            "directory": str(wormhole.get("identity_directory") or f"{DIRECTORY}/{name}"),
            "owner": owner,
            "group": group,
        }
        if found.setdefault(name, identity) != identity:
            raise InvalidInput(
                f"identity {name}",
                expected="one owner and one directory",
                found=f"{found[name]['owner']} in {found[name]['directory']}, {owner} in {identity['directory']}",
                remedy="Give each wormhole an identity of its own",
            )
    return list(found.values())


def _owner(wormhole: Mapping[str, Any]) -> tuple[str, str]:
    if wormhole.get("identity_owner") is not None:
        return str(wormhole["identity_owner"]), "0"
    user, _separator, _group = str(wormhole.get("user") or "").partition(":")
    # A name has a meaning only inside the image: wormhole_container looks it up and says whose number to put here.
    return (user if user.isdigit() else "0"), "0"
