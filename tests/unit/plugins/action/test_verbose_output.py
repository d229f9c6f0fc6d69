# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What ``ansible-playbook -vvvv`` prints of tasks with keys, passphrases and variables: no secret."""

from __future__ import annotations

import datetime
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import ansible_collections
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.authority import parse_authority
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.io import (
    authority,
    decoding,
    issuing,
)

PLACES = [
    Path(place).parent for place in ansible_collections.__path__ if Path(place, "wormhole/docker").is_dir()
]
PASSPHRASE, WRONG, TOKEN = "s3cret-passphrase", "s3cret-but-wrong", "s3cret-token"


def tasks(place, key):
    authority = {"ca_certificate_content": "{{ certificate }}", "ca_private_key_content": key}
    local = {name[3:]: value for name, value in authority.items()}
    wormhole = {"name": "agent", "image": "x", "docker_host": f"unix://{place}/none", "env": {"TOKEN": TOKEN}}
    wanted = [{"name": "one", "profile": "client", "directory": f"{place}/one"}]
    ours = "wormhole.docker."
    yield {ours + "certificate_authority": {"directory": f"{place}/ca", "passphrase": PASSPHRASE}}
    yield {ours + "certificate_authority": {**local, "passphrase": PASSPHRASE}}
    for passphrase in (PASSPHRASE, WRONG):
        issuing_task = {**authority, "ca_passphrase": passphrase}
        yield {ours + "tls_certificates": {**issuing_task, "certificates": wanted}}
        yield {ours + "certificate_signature": {**local, "passphrase": passphrase}}
    yield {ours + "certificate_rotation": {**authority, "step": "trust", "directories": [f"{place}/one"]}}
    yield {ours + "wormhole_container": {**authority, "ca_passphrase": PASSPHRASE, **wormhole}}
    yield {ours + "wormhole_containers": {**authority, "ca_passphrase": PASSPHRASE, "wormholes": [wormhole]}}
    # Mistakes: the key in another option, options that exclude each other, values of another type.
    yield {ours + "tls_certificates": {**authority, "ca_certificate_content": key, "certificates": wanted}}
    yield {ours + "tls_certificates": {**authority, "ca_private_key_path": "/x", "certificates": wanted}}
    yield {ours + "tls_certificates": {**authority, "ca_passphrase": [PASSPHRASE], "certificates": wanted}}
    yield {ours + "tls_certificates": {**authority, "ca_private_key": key, "certificates": wanted}}


@pytest.mark.skipif(not PLACES, reason="the collection is not below ansible_collections")
def test_verbose_output_has_no_secret(tmp_path):
    key = issuing.write_key(issuing.make_key("ecdsa-p256"), PASSPHRASE).decode()
    (tmp_path / "ca").mkdir(mode=0o700)
    (tmp_path / "ca" / "ca.key").write_text(key, encoding="utf-8")
    (tmp_path / "ca" / "ca.key").chmod(0o400)
    spec = parse_authority(
        str(tmp_path / "ca"),
        {
            "common_name": "CA",
            "key_type": "ecdsa-p256",
            "validity_days": 9,
            "rotation": None,
            "rotation_waits_for": [],
        },
    )
    now = datetime.datetime.now(datetime.timezone.utc)
    pem = authority.make_certificate(spec, decoding.read_key(key.encode(), PASSPHRASE), now)
    (tmp_path / "ca" / "ca.pem").write_bytes(pem)
    play = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars": {"ansible_python_interpreter": sys.executable, "certificate": pem.decode()},
        "ignore_errors": True,
        "tasks": list(tasks(tmp_path, key)),
    }
    (tmp_path / "play.yml").write_text(json.dumps([play]), encoding="utf-8")
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(PLACES[0]),
        "ANSIBLE_HOME": str(tmp_path / "home"),
        "ANSIBLE_NOCOLOR": "1",
    }
    argv = [
        sys.executable,
        "-m",
        "ansible.cli.playbook",
        "-vvvv",
        "-i",
        "localhost,",
        str(tmp_path / "play.yml"),
    ]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=600, check=False)
    output = done.stdout + done.stderr
    assert "the passphrase of the private key is wrong" in output, output
    # Newer versions of ansible-core do not print the arguments of a module that failed.
    assert '"TOKEN": "(hidden)"' in output or '"invocation"' not in output
    assert done.stdout.count("TASK [") == len(play["tasks"])
    lines = [line for line in key.splitlines() if not line.startswith("-----")]
    found = [secret for secret in (PASSPHRASE, WRONG, TOKEN, *lines) if secret in output]
    assert not found
