# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The part of wormhole_policy_info that runs on the controller."""

from __future__ import annotations

from ansible_collections.wormhole.docker.plugins.plugin_utils.reading import ReadingAction


class ActionModule(ReadingAction):
    """Runs the module of the same name."""

    MODULE = "wormhole.docker.wormhole_policy_info"
