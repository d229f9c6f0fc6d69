# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run a module in this process, with arguments that went through JSON.

Imports only what a managed node has: ansible-test runs the tests of modules without the rest.
"""

from __future__ import annotations

import contextlib
import io
import json

import pytest
from ansible.module_utils.common.parameters import PASS_VARS
from ansible.module_utils.testing import patch_module_args

# Since ansible-core 2.21, a result holds the module's arguments only on demand.
ON_DEMAND = "inject_invocation" in PASS_VARS


def run_module(module, arguments, check_mode=False, with_arguments=True):
    """Run a module's main() and return its result, as it would be sent."""
    output = io.StringIO()
    demanded = {"_ansible_inject_invocation": True} if ON_DEMAND and with_arguments else {}
    arguments = json.loads(json.dumps({**arguments, **demanded, "_ansible_check_mode": check_mode}))
    with patch_module_args(arguments), contextlib.redirect_stdout(output), pytest.raises(SystemExit):
        module.main()
    return json.loads(output.getvalue())
