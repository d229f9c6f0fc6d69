# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Preset ``test``: containers, networks and volumes of its own, on random ports.

For Testcontainers, integration tests and act.
"""

from __future__ import annotations

from typing import Any, Mapping

PRESET: Mapping[str, Any] = {
    "powers": {
        "ping": "all",
        "info": "all",
        "list": "own",
        "inspect": "own",
        "logs": "own",
        "metrics": "own",
        "events": "own",
        "files.read": "own",
        "files.write": "own",
        "pull": "own",
        "image.remove": "own",
        "container.create": "own",
        "container.life": "own",
        "container.update": "own",
        "container.attach": "own",
        "exec": "own",
        "commit": "own",
        "network": "own",
        "network.connect": "own",
        "volume": "own",
        "prune": "own",
    },
    "images": ["**"],
    "tags": ["{identity}/**"],
    "networks": ["bridge"],
    "ports": {"addresses": ["*"], "random": True},
    "limits": {"pids": 4096, "shm": "2g", "tmpfs": "2g", "containers": 100, "networks": 30, "volumes": 100},
    "cleanup": {"mode": "remove", "after": "60s"},
}
