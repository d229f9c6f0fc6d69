# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options of the modules for a list of wormholes; their arguments are in _glue/wormhole.py."""

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
  discover_program:
    description: Internal. The action plugin sets it to the text of the program for containers with
      C(discover=runtime).
    type: str
"""
