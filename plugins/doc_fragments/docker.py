# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Document the options of the engine connection; see _glue/connection.py for the arguments."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  docker_host:
    description: URL of the Docker engine's socket on the managed node. Only V(unix://) URLs are
      accepted, because the module also works on the files, network namespaces and systemd units of
      the engine's host.
    type: str
    default: unix:///var/run/docker.sock
  timeout:
    description: Seconds to wait for a response of the Docker engine.
    type: int
    default: 60
requirements:
  - docker >= 5.0.3 (Debian package python3-docker) on the managed node
  - Docker 20.10 or later on the managed node
"""
