# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Document the option for wormholes that a task does not list; see _glue/unlisted.py."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  unlisted:
    description:
      - What to do with wormholes of the host that O(wormholes) does not list.
      - V(keep) does not change them. V(remove) removes them and their identities, before the listed
        ones are started. Containers that are not wormholes are never removed.
      - The module searches the default engine and every engine that O(wormholes) names.
    type: str
    choices: [keep, remove]
    default: keep
"""
