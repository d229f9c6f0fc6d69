# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Policies follow the certificates that are replaced and removed."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import stat

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._gate.io import admitted


def pem(body):
    text = base64.b64encode(body).decode()
    return f"-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n".encode()


def digest(body):
    return hashlib.sha256(body).hexdigest()


@pytest.fixture
def policies(tmp_path):
    def write(name, *bodies):
        path = tmp_path / f"{name}.json"
        document = {"policy": {"identity": name}, "certificates": [digest(body) for body in bodies]}
        path.write_text(json.dumps(document))
        path.chmod(0o640)
        return path

    return write


def prints(path):
    return json.loads(path.read_text())["certificates"]


def test_the_fingerprint_is_that_of_the_first_certificate():
    assert admitted.fingerprint(pem(b"one") + pem(b"two")) == digest(b"one")
    assert admitted.fingerprint(b"no certificate") == ""


def test_a_new_certificate_has_the_access_of_its_predecessor_which_keeps_it(policies, tmp_path):
    mine, other = policies("mine", b"old", b"kept"), policies("other", b"another")
    before = other.stat().st_ino
    assert admitted.admit_beside(pem(b"old"), pem(b"new"), str(tmp_path))
    assert prints(mine) == sorted([digest(b"old"), digest(b"new"), digest(b"kept")])
    assert prints(other) == [digest(b"another")]
    assert other.stat().st_ino == before
    assert stat.S_IMODE(mine.stat().st_mode) == 0o640


def test_a_removed_certificate_has_no_access(policies, tmp_path):
    mine = policies("mine", b"old", b"kept")
    admitted.dismiss(pem(b"old"), str(tmp_path))
    assert prints(mine) == [digest(b"kept")]


def test_the_file_is_replaced_and_not_changed_in_place(policies, tmp_path):
    mine = policies("mine", b"old")
    before = mine.stat().st_ino
    with open(mine, "rb") as held:
        admitted.dismiss(pem(b"old"), str(tmp_path))
        assert digest(b"old").encode() in held.read()
    assert mine.stat().st_ino != before


@pytest.mark.parametrize("text", ["{", "[]", '{"certificates": 1}', '{"certificates": [1]}'])
def test_a_malformed_file_stays_as_it_is(tmp_path, text):
    path = tmp_path / "mine.json"
    path.write_text(text)
    admitted.dismiss(pem(b"old"), str(tmp_path))
    assert path.read_text() == text


def test_files_of_others_and_a_missing_directory_do_not_matter(policies, tmp_path):
    hidden = policies(".mine", b"old")
    admitted.dismiss(pem(b"old"), str(tmp_path))
    assert prints(hidden) == [digest(b"old")]
    assert not admitted.admit_beside(pem(b"old"), pem(b"new"), os.path.join(str(tmp_path), "missing"))
    assert not admitted.admit_beside(pem(b"unknown"), pem(b"new"), str(tmp_path))


def test_the_same_certificate_changes_nothing(policies, tmp_path):
    mine = policies("mine", b"old")
    before = mine.stat().st_ino
    assert not admitted.admit_beside(pem(b"old"), pem(b"old"), str(tmp_path))
    assert mine.stat().st_ino == before
