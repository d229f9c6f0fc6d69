# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A controller with one host; only the transport is replaced, by a call in this process.

The modules are the real ones, run through AnsibleModule with arguments that went through JSON.
"""

from __future__ import annotations

import json
import types

from ansible.errors import AnsibleActionFail

try:
    from ansible.module_utils.secrets import mask_secrets
except ImportError:  # before ansible-core 2.22
    mask_secrets = str

from ansible_collections.wormhole.docker.plugins.action import (
    certificate_rotation as certificate_rotation_action,
)
from ansible_collections.wormhole.docker.plugins.action import tls_certificates as tls_certificates_action
from ansible_collections.wormhole.docker.plugins.modules import (
    certificate_authority,
    certificate_authority_info,
    certificate_revocation,
    certificate_rotation,
    certificate_signature,
    tls_certificates,
)
from ansible_collections.wormhole.docker.tests.unit.plugins.modules.running import run_module

MODULES = {
    "wormhole.docker.tls_certificates": tls_certificates,
    "wormhole.docker.certificate_rotation": certificate_rotation,
}
HOST = "ci1"
"""The host's name in the inventory."""
PASSPHRASE = "sesame-open-thyself"


def show(result):
    """Return a result as a user sees it.

    Until ansible-core 2.21, a module masks its secrets in its result. Since 2.22, it hands them to
    the controller, which masks them in everything that it displays. Here, both are one process.
    """
    return mask_secrets(json.dumps(result))


class Fleet:
    """A controller with one host. Runs tasks, and records what is sent."""

    def __init__(self, home):
        self.authority = home / "ca"
        self.etc = home / "etc"
        self.state = home / "state"
        self.sent = []
        self.answers = []
        self.interrupt = False
        self.check_mode = False
        self.variables = {}

    def make_authority(self, check_mode=False, **options):
        given = {"directory": str(self.authority), **options}
        arguments = {name: value for name, value in given.items() if value is not None}
        return run_module(certificate_authority, arguments, check_mode)

    def server(self, **options):
        names = ["IP:172.17.0.1", {"name": "IP:172.18.0.1", "origin": "gateway of network ci"}]
        return self.entry("dockerd", profile="server", subject_alternative_names=names, **options)

    def client(self, name="jenkins", **options):
        return self.entry(name, profile="client", **options)

    def entry(self, name, **options):
        return {"name": name, "directory": str(self.etc / name), **options}

    def run(self, *certificates, check_mode=False, **options):
        """Run tls_certificates with the authority in its directory, unless options name another."""
        arguments = {"certificates": list(certificates), **self.source(options), **options}
        return self.run_task(tls_certificates_action, arguments, check_mode)

    def rotate(self, step, check_mode=False, **options):
        """Run certificate_rotation for all certificates of the host."""
        arguments = {"step": step, "directories": [str(self.etc)], **self.source(options), **options}
        return self.run_task(certificate_rotation_action, arguments, check_mode)

    def source(self, options):
        elsewhere = {"authority", "ca_certificate_content", "ca_certificate_path"} & set(options)
        return {} if elsewhere else {"ca_directory": str(self.authority)}

    def run_task(self, plugin, arguments, check_mode=False):
        name = plugin.ActionModule.MODULE
        task = types.SimpleNamespace(
            args=arguments, check_mode=check_mode, async_val=0, action=name, diff=True
        )
        connection = types.SimpleNamespace(_shell=types.SimpleNamespace(tmpdir=None))
        templar = types.SimpleNamespace(template=lambda value: value)
        action = plugin.ActionModule(task, connection, types.SimpleNamespace(), None, templar, None)
        action._execute_module = self.execute_module
        self.sent, self.answers = [], []
        self.check_mode = check_mode
        try:
            return action.run(task_vars={"inventory_hostname": HOST, **self.variables})
        except AnsibleActionFail as error:
            # What ansible-core makes of it.
            return {"failed": True, "msg": str(error)}

    def execute_module(self, module_name, module_args, task_vars):
        self.sent.append(module_args)
        if self.interrupt and len(self.sent) > 1:
            return {"unreachable": True, "msg": "the line is dead"}
        answer = run_module(MODULES[module_name], module_args, self.check_mode)
        self.answers.append(json.dumps(answer))
        return answer

    def sign(self, **options):
        """Run certificate_signature where the authority is."""
        given = {"directory": str(self.authority), **options}
        arguments = {name: value for name, value in given.items() if value is not None}
        return run_module(certificate_signature, arguments)

    def revoke(self, check_mode=False, **options):
        """Run certificate_revocation where the authority is."""
        arguments = {"directory": str(self.authority), "reason": "stolen", **options}
        return run_module(certificate_revocation, arguments, check_mode)

    def issued(self, **options):
        """Run certificate_authority_info where the authority is."""
        return run_module(certificate_authority_info, {"directory": str(self.authority), **options})

    def check(self, *certificates, **options):
        return self.run(*certificates, check_mode=True, **options)

    def tree(self):
        return (
            {str(path.relative_to(self.etc)) for path in self.etc.rglob("*")} if self.etc.exists() else set()
        )
