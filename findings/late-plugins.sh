#!/usr/bin/env bash
# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# ansible-core 2.19.14: does Ansible find a module that was written after another one of the same
# directory was looked up?
#
# Seen: no. A process lists each directory of its search path once. A file that is added later is
# not found, and to add the same directory again does not help. To add any other directory does,
# because only that makes Ansible forget what it has listed. Nothing is reported.
#
# It concerns programs and action plugins that write modules while they run. A run of a playbook
# forks a process for each task, in which nothing has been looked up yet, so a test of one task
# does not show it.

set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv venv
venv/bin/pip --quiet --disable-pip-version-check install ansible-core==2.19.14 2>/dev/null

cat >look.py <<'EOF'
import pathlib

from ansible.plugins.loader import init_plugin_loader, module_loader
from ansible.release import __version__

print("ansible-core", __version__)
init_plugin_loader([])
written, other = pathlib.Path("written").resolve(), pathlib.Path("other").resolve()
for directory in (written, other):
    directory.mkdir()


def find(name):
    return "found" if module_loader.find_plugin(f"ansible.legacy.{name}") else "not found"


(written / "first_module.py").write_text("")
module_loader.add_directory(str(written))
print("the first module:", find("first_module"))
(written / "second_module.py").write_text("")
print("a second one, written later:", find("second_module"))
module_loader.add_directory(str(written))
print("after its directory was added again:", find("second_module"))
module_loader.add_directory(str(other))
print("after another directory was added:", find("second_module"))
EOF
ANSIBLE_LOCAL_TEMP=$work/tmp venv/bin/python look.py 2>&1 | tee seen

cat >expected <<'EOF'
ansible-core 2.19.14
the first module: found
a second one, written later: not found
after its directory was added again: not found
after another directory was added: found
EOF
diff expected seen
