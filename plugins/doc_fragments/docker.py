# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options by which modules reach the Docker engine; their arguments are in _glue/connection.py."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  docker_host:
    description:
      - The Docker engine's socket on the managed node.
      - Only V(unix://) addresses are accepted, because the module also works on files, network namespaces or
        units of the host that the engine runs on.
    type: str
    default: unix:///var/run/docker.sock
  timeout:
    description:
      - How long to wait for an answer of the Docker engine, in seconds.
    type: int
    default: 60
requirements:
  - docker >= 5.0.3 (Debian package python3-docker) on the managed node
  - Docker 20.10 or later on the managed node
"""
