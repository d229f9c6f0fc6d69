# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compare how the collection and a host's systemd read unit files and environment files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

UNITS = "/etc/systemd/system"
COMMANDS = {
    "comments": "ExecStart=/bin/echo a \\\n# -H x \\\n ; y\n  b\n",
    "blank": "ExecStart=/bin/echo a \\\n\n b\n",
    "backslashes": "ExecStart=/bin/echo a \\\\\nExecStartPre=/bin/true\n",
    "quotes": 'ExecStart=/bin/echo --l="a b" c"d e"f \'x y\' "it\'s"\n',
    "escapes": 'ExecStart=/bin/echo a\\x20b \\s "q\\"r" \\q \\; \\u00e9\n',
    "two": "ExecStart=/bin/echo a\nExecStart=/bin/echo b\n",
    "semicolon": "ExecStart=/bin/echo a ; /bin/echo b\n",
    "open": 'ExecStart=/bin/echo a\nExecStart=\nExecStart=/bin/echo "b\n',
    "reset": "ExecStart=/bin/echo a\nExecStart=\nExecStart=/bin/echo b\n",
    "prefix": "ExecStart=-+/bin/echo a\n",
    "colon": "ExecStart=:-/bin/echo $HOME\n",
    "specifiers": "ExecStart=/bin/echo %E %t %S %h %u %U %% %i. %C %L %T %V %g %G\n",
    "end": "ExecStart=/bin/echo a \\",
    "spaces": "  ExecStart = /bin/echo a\n",
    "sections": "[X-Other]\nExecStart=/bin/no\n[Service] \nExecStart=\nExecStart=/bin/echo z\n",
    "lines": "ExecStart=/bin/echo a\r\n#ExecStart=/bin/echo b \\\n\n",
}
"""Contents of sections [Service]."""

DROP_INS = {
    f"{UNITS}/docker.service.d/b.conf": "ExecStart=\nExecStart=/bin/echo etc\n",
    "/run/systemd/system/docker.service.d/b.conf": "ExecStart=\nExecStart=/bin/echo run\n",
    "/usr/lib/systemd/system/docker.service.d/a.conf": "ExecStart=\nExecStart=/bin/echo vendor\n",
    f"{UNITS}/service.d/c.conf": "ExecStart=\nExecStart=/bin/echo every\n",
    "/usr/lib/systemd/system/docker.service.d/d.conf": "ExecStart=\nExecStart=/bin/echo masked\n",
    f"{UNITS}/docker.service.d/d.conf": "",
}

ENVIRONMENT = """\
# A=comment
A=-H fd://  \t
B = "two words"
C='single $x \\y'
D="a \\"quoted\\" \\$x \\q"
E=first \\
  second
F="over
lines"
G=a\\ b
H=
A2=it's
J="x"y
"""
NAMES = ("A", "B", "C", "D", "E", "F", "G", "H", "A2", "J", "K", "L", "MISSING")
PROGRAM = "#!/bin/sh\nfor word; do printf '%s\\0' \"$word\"; done >/run/words\n"
SERVICE = (
    "[Service]\nType=oneshot\nEnvironment=K=unit 'L=l m' A=lost\nEnvironmentFile=/etc/words.env\n"
    "ExecStart=/usr/local/bin/dockerd "
    + " ".join(f"${name} ${{{name}}} x${{{name}}}y" for name in NAMES)
    + " $$A x$A\n"
)

_READ = """\
import json, sys
from ansible_collections.wormhole.docker.plugins.module_utils._base import systemd_units
from ansible_collections.wormhole.docker.plugins.module_utils._engine import command
found = []
for texts, environment in json.load(sys.stdin):
    paths = systemd_units.in_order(path for path, text in texts)
    files = [(path, dict(texts)[path]) for path in paths]
    found.append(command.parse_files(files, "", False, lambda file: [("x", environment)]).words)
json.dump(found, sys.stdout)
"""


def read_both(host: Any, collections: Path) -> list[tuple[str, list[str], list[str]]]:
    """The name of each case, and the words as systemd and as the collection read them."""
    cases = {name: [[f"{UNITS}/t-{name}.service", f"[Service]\n{text}"]] for name, text in COMMANDS.items()}
    seen = _ask_systemd(host, {f"t-{name}": files for name, files in cases.items()})
    drop_ins = [[path, f"[Service]\n{text}" if text else ""] for path, text in DROP_INS.items()]
    seen += _ask_systemd(host, {"docker": drop_ins})
    vendor = "/usr/lib/systemd/system/docker.service"
    cases["drop-ins"] = [[vendor, host.run(f"cat {vendor}").stdout], *drop_ins]
    host.write("/etc/words.env", ENVIRONMENT)
    host.write("/usr/local/bin/dockerd", PROGRAM, 0o755)
    host.write(f"{UNITS}/words.service", SERVICE)
    host.run("systemctl daemon-reload; systemctl start words")
    words = host.run("cat /run/words").stdout.split("\0")[:-1]
    host.run(f"rm /usr/local/bin/dockerd {UNITS}/words.service /etc/words.env; systemctl daemon-reload")
    seen.append(["/usr/local/bin/dockerd", *words])
    cases["variables"] = [[f"{UNITS}/words.service", SERVICE]]
    return list(zip(cases, seen, _ask_collection(collections, list(cases.values())), strict=True))


def _ask_systemd(host: Any, units: dict[str, list[list[str]]]) -> list[list[str]]:
    """The one command of each service, while these files exist; none if systemd does not load it."""
    written = [file for files in units.values() for file in files]
    for directory in {os.path.dirname(path) for path, _text in written}:
        host.run(f"mkdir -p {directory}")
    for path, text in written:
        host.write(path, text)
    host.run("systemctl daemon-reload")
    found = []
    for name in units:
        path = f"/org/freedesktop/systemd1/unit/{name.replace('-', '_2d')}_2eservice"
        get = f"busctl --json=short get-property org.freedesktop.systemd1 {path} org.freedesktop.systemd1"
        answers = host.run(f"{get}.Unit LoadState; {get}.Service ExecStart").stdout.splitlines()
        state, commands = (json.loads(answer)["data"] for answer in answers)
        found.append(list(commands[0][1]) if state == "loaded" and len(commands) == 1 else [])
    host.run(f"rm {' '.join(path for path, _text in written)}; systemctl daemon-reload")
    return found


def _ask_collection(collections: Path, cases: list[Any]) -> list[list[str]]:
    answer = subprocess.run(
        [sys.executable, "-c", _READ],
        input=json.dumps([[files, ENVIRONMENT] for files in cases]),
        env={**os.environ, "PYTHONPATH": str(collections)},
        capture_output=True,
        check=True,
        text=True,
    )
    return list(json.loads(answer.stdout))
