# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Preset ``ci``: preset ``test``, and tag and push images of its own; build them with ``build``.

For Compose in CI, Jenkins, GitLab Runner, Woodpecker and Gitea. Tags are ``IDENTITY/…``, or those of ``tags``.
"""

from __future__ import annotations

from typing import Any, Mapping

from . import test

PRESET: Mapping[str, Any] = {
    **test.PRESET,
    "powers": {**test.PRESET["powers"], "tag": "own", "push": "own", "search": "own", "login": "own"},
}
