# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options that name an authority."""

from __future__ import annotations

from typing import Any

SOURCES = ("directory", "certificate_path", "certificate_content")


def authority_arguments(prefix: str = "ca_") -> dict[str, Any]:
    """The arguments of these options."""
    plain = {
        "directory": {"type": "str"},
        "certificate_path": {"type": "str"},
        "certificate_content": {"type": "str"},
        "private_key_path": {"type": "str", "no_log": False},
        "private_key_content": {"type": "str", "no_log": True},
        "trusted_content": {"type": "str"},
        "passphrase": {"type": "str", "no_log": True},
    }
    return {prefix + name: argument for name, argument in plain.items()}


# For modules that issue certificates whose previous ones another authority may have issued.
def previous_argument(prefix: str = "ca_") -> dict[str, Any]:
    """The argument of the option that names the directory of an authority which is replaced."""
    return {f"{prefix}previous_directory": {"type": "str"}}


REPLACE_ARGUMENT: dict[str, Any] = {"ca_replace": {"type": "bool", "default": False}}


def authority_constraints(prefix: str = "ca_", *alternatives: str) -> dict[str, Any]:
    """Which of these options exclude or require each other, as arguments of AnsibleModule."""
    sources = [*(prefix + name for name in SOURCES), *alternatives]
    keys = [prefix + "private_key_path", prefix + "private_key_content"]
    # A directory holds its own files for these.
    with_directory = [[prefix + "directory", name] for name in (*keys, prefix + "trusted_content")]
    return {"mutually_exclusive": [sources, keys, *with_directory], "required_one_of": [sources]}
