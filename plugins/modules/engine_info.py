#!/usr/bin/python
# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: engine_info
short_description: Find out whether a host has a Docker engine and the required Python libraries
version_added: 0.1.0
author: Contributors to the wormhole.docker project (@wormhole-docker)
description:
  - Detects a Docker engine, no matter how it was installed, and the Python libraries C(docker) and
    C(cryptography), and returns the packages that provide the missing ones.
  - Detects engines that were not started by C(docker.service), and everything else that keeps the
    role P(wormhole.docker.engine#role) from preparing the host. If packages are missing on Debian,
    simulates their installation.
  - Requires none of the libraries itself, and starts nothing. The role
    P(wormhole.docker.engine#role) uses this module.
options: {}
extends_documentation_fragment:
  - wormhole.docker.attributes
  - wormhole.docker.attributes.info_module
"""

EXAMPLES = r"""
- name: Detect the engine
  wormhole.docker.engine_info:
  register: engine

- name: Fail if the host cannot be prepared
  ansible.builtin.fail:
    msg: "{{ engine.obstacles | join(' ') }}"
  when: engine.obstacles | length > 0

- name: Install the missing packages
  ansible.builtin.apt:
    name: "{{ engine.missing_packages }}"
    fail_on_autoremove: true
"""

RETURN = r"""
dockerd:
  description: Path of dockerd; empty if it is not installed.
  returned: success
  type: str
  sample: /usr/sbin/dockerd
running:
  description: Whether C(docker.service) runs.
  returned: success
  type: bool
python:
  description: Path of the Python interpreter that runs modules.
  returned: success
  type: str
  sample: /usr/bin/python3
libraries:
  description: Versions of the installed Python libraries, by name.
  returned: success
  type: dict
  sample: {"cryptography": "43.0.0", "docker": "7.1.0"}
missing_packages:
  description: Names of the packages to install.
  returned: success
  type: list
  elements: str
  sample: ["python3-docker"]
obstacles:
  description: >-
    What keeps the role P(wormhole.docker.engine#role) from preparing the host: another engine,
    whose containers would disappear from C(docker ps), a Python interpreter that cannot import
    libraries from the distribution's packages, or an installation that would remove or downgrade
    packages. Each text says what to do.
  returned: success
  type: list
  elements: str
  sample: []
other_engines:
  description:
    - The engines of this host that were not started by C(docker.service). Engines in containers are
      omitted.
    - An engine in this list is not always an obstacle. For example, a rootless engine may run next
      to that of C(docker.service).
  returned: success
  type: list
  elements: dict
  sample: [{"pid": 812, "program": "dockerd", "uid": 1000, "unit": "user@1000.service"}]
  contains:
    program:
      description: Name of the program, such as V(dockerd) or V(podman).
      type: str
    pid:
      description: Process ID.
      type: int
    uid:
      description: Numeric ID of the user that runs it.
      type: int
    unit:
      description: The systemd unit that the process belongs to; empty if there is none.
      type: str
"""

from ansible_collections.wormhole.docker.plugins.module_utils._glue.engine import describe_engine
from ansible_collections.wormhole.docker.plugins.module_utils._glue.run import run


def main() -> None:
    run(lambda module: describe_engine(), {})


if __name__ == "__main__":
    main()
