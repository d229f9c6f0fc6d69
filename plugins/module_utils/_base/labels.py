# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Labels that mark containers of this collection."""

from __future__ import annotations

LABEL_PREFIX = "wormhole.docker."
LABEL_MANAGED = LABEL_PREFIX + "managed"
LABEL_TRANSPORT = LABEL_PREFIX + "transport"
LABEL_IDENTITY = LABEL_PREFIX + "identity"
LABEL_IDENTITY_DIRECTORY = LABEL_PREFIX + "identity-directory"
LABEL_IDENTITY_OWNER = LABEL_PREFIX + "identity-owner"
LABEL_ENGINE = LABEL_PREFIX + "engine"
LABEL_DISCOVER = LABEL_PREFIX + "discover"
LABEL_GATE = LABEL_PREFIX + "gate"
"""On containers that have the socket of the gate instead of the engine's."""
