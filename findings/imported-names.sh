#!/usr/bin/env bash
# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# ansible-core 2.19.14: what does it cost the controller if a module imports many names from one file
# of module_utils?
#
# Seen: while it packs a module, ansible-core looks for every imported name as if it were a file of
# its own. `from util import` with 200 names takes 205 look-ups, `import util` takes 6, and both
# payloads have the same files. It is done once for each module in every run of a playbook.
#
# A small collection stands in for a large one. The look-ups are counted where ansible-core makes
# them; nothing is connected to.

set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv venv
venv/bin/pip --quiet --disable-pip-version-check install ansible-core==2.19.14 2>/dev/null

plugins=ansible_collections/demo/demo/plugins
mkdir -p "$plugins/modules" "$plugins/module_utils"
names=$(printf 'name_%s, ' $(seq 200))
for name in ${names//,/}; do printf '%s = 1\n' "$name"; done >"$plugins/module_utils/util.py"
place=ansible_collections.demo.demo.plugins.module_utils
module() { # name, import
    printf '%s\n' 'from ansible.module_utils.basic import AnsibleModule' "$2" 'AnsibleModule({}).exit_json()' \
        >"$plugins/modules/$1.py"
}
module by_name "from $place.util import ${names%, }"
module by_file "from $place import util"

cat >count.py <<'EOF'
import base64
import io
import pathlib
import re
import zipfile

import ansible.release
from ansible.executor import module_common
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible.utils.collection_loader._collection_finder import _AnsibleCollectionFinder

_AnsibleCollectionFinder(paths=[str(pathlib.Path.cwd())])._install()
look_ups = 0
locator = module_common.CollectionModuleUtilLocator
original = locator.__init__


def counted(self, *arguments, **options):
    global look_ups
    look_ups += 1
    original(self, *arguments, **options)


locator.__init__ = counted
variables = {"ansible_python_interpreter": "/usr/bin/python3"}
seen = {}
for name in ("by_file", "by_name"):
    look_ups = 0
    built = module_common.modify_module(
        module_name=f"demo.demo.{name}",
        module_path=str(pathlib.Path.cwd() / "ansible_collections/demo/demo/plugins/modules" / f"{name}.py"),
        module_args={},
        templar=Templar(DataLoader(), variables),
        task_vars=variables,
        module_compression="ZIP_DEFLATED",
    ).b_module_data
    [archive] = re.findall(rb"UEsDB[A-Za-z0-9+/]+=*", built)
    files = zipfile.ZipFile(io.BytesIO(base64.b64decode(archive))).namelist()
    ours = sorted(pathlib.Path(file).name for file in files if file.startswith("ansible_collections/") and "util" in file)
    seen[name] = (look_ups, ours)
    print(f"ansible-core {ansible.release.__version__}, {name}: {look_ups} look-ups, {len(files)} files")
assert seen["by_name"][0] - seen["by_file"][0] == 199, seen
assert seen["by_name"][1] == seen["by_file"][1], seen
EOF
venv/bin/python count.py
echo "as described"
