# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Preset ``update``: recreate containers with a newer version of their image.

For Watchtower, WUD and similar updaters. A new container has to ask for what the previous one of its name had,
with an image of the same repository, or one of ``images``. Updaters read the environment of all containers in
order to do that.
"""

from __future__ import annotations

from typing import Any, Mapping

from . import observe

PRESET: Mapping[str, Any] = {
    **observe.PRESET,
    "powers": {
        **observe.PRESET["powers"],
        "search": "all",
        "pull": "all",
        "image.remove": "all",
        "container.create": "all",
        "container.life": "all",
        "network.connect": "all",
    },
    "verbs": ["start", "stop", "kill", "restart", "rename", "delete", "wait"],
    "restart": ["no", "on-failure", "always", "unless-stopped"],
    "environment": True,
    "recreate": True,
}
