# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Authorities in real directories, created by real processes."""

from __future__ import annotations

import concurrent.futures
import contextlib
import datetime
import errno
import multiprocessing
import os
import pwd
import shutil
import stat
import subprocess

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import (
    InvalidInput,
    Refused,
    WormholeError,
)
from ansible_collections.wormhole.docker.plugins.module_utils._base.io import files
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.authority import (
    AuthoritySpec,
    check_authority,
)
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.authority_plan import (
    plan_authority,
)
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.io import (
    authority as authority_store,
)
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.io import decoding
from ansible_collections.wormhole.docker.plugins.module_utils._glue.ensure_authority import ensure_authority
from ansible_collections.wormhole.docker.plugins.module_utils._glue.material import load_material

NOW = datetime.datetime.now(datetime.timezone.utc)
DAY = datetime.timedelta(days=1)


def spec_for(directory, common_name="CA"):
    return AuthoritySpec(str(directory), common_name, "ecdsa-p256", 3650 * DAY)


def converge(directory, passphrase=None, common_name="CA", now=NOW):
    """Plan and apply like the module. Return the codes of the reasons."""
    spec = spec_for(directory, common_name)
    plan = plan_authority(spec, authority_store.read_material(spec.directory, passphrase).state, now)
    authority_store.apply_authority(spec, plan, passphrase, now)
    left = plan_authority(spec, authority_store.read_material(spec.directory, passphrase).state, now)
    assert left.is_empty
    return [reason.code for reason in plan.reasons]


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "pki" / "ca"


def test_an_authority_is_created_once(directory):
    assert converge(directory) == ["missing"]
    before = {path.name: path.read_bytes() for path in directory.iterdir()}
    assert converge(directory, common_name="Other") == []
    assert {path.name: path.read_bytes() for path in directory.iterdir()} == before
    assert set(before) == {"ca.key", "ca.pem", "issued.jsonl", ".lock"}
    assert [mode(path) for path in (directory, directory / "ca.key", directory / "ca.pem")] == [
        0o700,
        0o400,
        0o444,
    ]


def test_reading_changes_nothing(directory):
    assert authority_store.read_material(str(directory), None).state.modes == {}
    assert not directory.parent.exists()
    directory.mkdir(parents=True)
    authority_store.read_material(str(directory), None)
    assert list(directory.iterdir()) == []


def test_modes_are_corrected_and_the_key_stays(directory):
    converge(directory)
    key = (directory / "ca.key").read_bytes()
    directory.chmod(0o755)
    (directory / "ca.key").chmod(0o644)
    assert converge(directory) == ["mode_drift", "mode_drift"]
    assert (directory / "ca.key").read_bytes() == key
    assert mode(directory / "ca.key") == 0o400


def test_a_passphrase_encrypts_the_key_and_opens_it(directory):
    assert converge(directory, "sesame") == ["missing"]
    assert b"ENCRYPTED" in (directory / "ca.key").read_bytes()
    assert converge(directory, "sesame") == []
    for wrong in (None, "other"):
        with pytest.raises(InvalidInput, match=r"ca.key"):
            authority_store.read_material(str(directory), wrong)


def test_temporary_files_of_a_killed_process_are_removed(directory):
    directory.mkdir(parents=True)
    (directory / ".ca.key.abc.new").write_bytes(b"half a key")
    assert converge(directory) == ["missing"]
    assert {path.name for path in directory.iterdir()} == {"ca.key", "ca.pem", "issued.jsonl", ".lock"}


def test_a_key_without_its_certificate_is_rejected_and_unchanged(directory):
    converge(directory)
    (directory / "ca.pem").unlink()
    left = {path.name: path.read_bytes() for path in directory.iterdir()}
    with pytest.raises(Refused, match=r"without ca\.pem"):
        converge(directory)
    assert {path.name: path.read_bytes() for path in directory.iterdir()} == left


@pytest.mark.parametrize("name", ["ca.key", "ca.pem"])
def test_an_unreadable_file_is_reported_with_its_path(directory, name):
    converge(directory)
    (directory / name).chmod(0o600)
    (directory / name).write_bytes(b"garbage")
    with pytest.raises(WormholeError, match=f"{name}: "):
        converge(directory)
    assert (directory / name).read_bytes() == b"garbage"


def test_the_key_of_another_authority_is_rejected(directory, tmp_path):
    converge(directory)
    converge(tmp_path / "other")
    os.replace(tmp_path / "other" / "ca.key", directory / "ca.key")
    with pytest.raises(Refused, match="the key of another certificate"):
        converge(directory)


def test_an_expired_authority_is_rejected(directory):
    converge(directory, now=NOW - 4000 * DAY)
    with pytest.raises(Refused, match="expired"):
        converge(directory)


def test_no_authority_is_created_beside_other_files(directory):
    directory.mkdir(parents=True)
    (directory / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(Refused, match=r"notes\.txt"):
        converge(directory)


def _racer(directory, barrier, answers):
    barrier.wait()
    try:
        converge(directory)
        answers.put(authority_store.read_material(str(directory), None).state.certificate.fingerprint_sha256)
    except BaseException as error:  # the parent asserts on it
        answers.put(repr(error))


def test_processes_at_once_end_with_one_authority(directory):
    """Each plans before another one has written, or while it writes. All must agree."""
    context = multiprocessing.get_context("fork")
    for attempt in range(5):
        target = directory / str(attempt)
        barrier, answers = context.Barrier(6), context.Queue()
        racers = [
            context.Process(target=_racer, args=(target, barrier, answers), daemon=True)
            for _racer_number in range(6)
        ]
        for racer in racers:
            racer.start()
        seen = {answers.get(timeout=60) for _each in racers}
        for racer in racers:
            racer.join()
        material = authority_store.read_material(str(target), None)
        assert seen == {material.state.certificate.fingerprint_sha256}
        assert (
            decoding.key_facts(material.key).public_key_sha256 == material.state.certificate.public_key_sha256
        )


def test_an_authority_that_was_created_since_the_plan_stays(directory):
    spec = spec_for(directory)
    plan = plan_authority(spec, authority_store.read_material(spec.directory, None).state, NOW)
    converge(directory)
    first = (directory / "ca.pem").read_bytes()
    authority_store.apply_authority(spec, plan, None, NOW)
    assert (directory / "ca.pem").read_bytes() == first


def test_a_reader_waits_for_the_one_that_writes(directory, tmp_path):
    """An incomplete authority is rejected, but not while it is being written."""
    converge(tmp_path / "template")
    directory.mkdir(mode=0o700, parents=True)
    # A thread, not a process: a forked process would inherit the lock and wait for itself.
    with concurrent.futures.ThreadPoolExecutor() as pool:
        with files.locked(str(directory / ".lock")):
            shutil.copy(tmp_path / "template" / "ca.key", directory)
            reading = pool.submit(authority_store.read_material, str(directory), None)
            assert not concurrent.futures.wait([reading], timeout=0.5).done
            shutil.copy(tmp_path / "template" / "ca.pem", directory)
        assert check_authority(str(directory), reading.result(timeout=60).state, NOW)


# --- the public part of an authority --------------------------------------------------------------


def offer(directory, **options):
    material = authority_store.read_material(str(directory), None)
    return authority_store.offer_authority(str(directory), material, NOW, **options)


def test_the_public_part_of_a_good_authority_has_its_certificate(directory):
    converge(directory)
    offered = offer(directory)
    assert offered.trust.exact("client").text == (directory / "ca.pem").read_text(encoding="utf-8")
    assert offered.certificate.common_name == "CA"
    assert offered.obstacle == ""
    assert "PRIVATE" not in str(offered)


def test_a_missing_authority_is_an_obstacle_unless_it_may_be_created(directory):
    assert "certificate_authority" in offer(directory).obstacle
    assert offer(directory, may_be_missing=True).obstacle == ""


def test_a_missing_key_is_an_obstacle_and_no_error(directory):
    converge(directory)
    (directory / "ca.key").unlink()
    offered = offer(directory)
    assert offered.trust.issuing
    assert "without ca.key" in offered.obstacle


def test_a_missing_certificate_is_an_error(directory):
    converge(directory)
    (directory / "ca.pem").unlink()
    with pytest.raises(Refused, match=r"without ca\.pem"):
        offer(directory)


def test_a_missing_key_does_not_hide_that_the_authority_has_expired(directory):
    converge(directory, now=NOW - 3600 * DAY)
    (directory / "ca.key").unlink()
    material = authority_store.read_material(str(directory), None)
    assert authority_store.offer_authority(str(directory), material, NOW).obstacle
    with pytest.raises(Refused, match="expired"):
        authority_store.offer_authority(str(directory), material, NOW + 100 * DAY)


# --- rotation -------------------------------------------------------------------------------------


def rotate(directory, stage, passphrase=None, key_type="ecdsa-p256"):
    """Run a stage like the module. Return the codes of the reasons."""
    spec = AuthoritySpec(str(directory), "unused", key_type, 3650 * DAY, stage)
    plan = plan_authority(spec, authority_store.read_material(spec.directory, passphrase).state, NOW)
    authority_store.apply_authority(spec, plan, passphrase, NOW)
    assert plan_authority(spec, authority_store.read_material(spec.directory, passphrase).state, NOW).is_empty
    return [reason.code for reason in plan.reasons]


def names_of(anchors):
    return [decoding.read_certificate(anchor.pem.encode()).common_name for anchor in anchors]


def parts(directory, passphrase=None):
    """The common names of the issuing, succeeding, previous and retired authorities."""
    trust = authority_store.read_material(str(directory), passphrase).trust
    return [names_of(part) for part in (trust.issuing, trust.successor, trust.former, trust.retired)]


def test_a_rotation_completes_its_stages_and_leaves_one_authority(directory):
    converge(directory, "sesame")
    first = (directory / "ca.key").read_bytes()
    assert rotate(directory, "trust", "sesame", key_type="ecdsa-p384") == ["no_successor"]
    assert parts(directory, "sesame") == [["CA"], ["CA G2"], [], []]
    assert (directory / "ca.key").read_bytes() == first
    assert rotate(directory, "reissue", "sesame") == ["not_issuing"]
    assert parts(directory, "sesame") == [["CA G2"], [], ["CA"], []]
    assert (directory / "former.key").read_bytes() == first
    assert rotate(directory, "trust", "sesame") == []
    assert rotate(directory, "drop", "sesame") == ["former_trusted"]
    assert parts(directory, "sesame") == [["CA G2"], [], [], ["CA"]]
    assert {path.name for path in directory.iterdir()} == {
        "ca.key",
        "ca.pem",
        "retired.pem",
        "issued.jsonl",
        ".lock",
    }
    material = authority_store.read_material(str(directory), "sesame")
    assert check_authority(str(directory), material.state, NOW).key_type == "ecdsa-p384"
    assert b"ENCRYPTED" in (directory / "ca.key").read_bytes()
    for path, wanted in (("ca.key", 0o400), ("ca.pem", 0o444), ("retired.pem", 0o444)):
        assert mode(directory / path) == wanted


def test_another_rotation_keeps_all_retired_authorities(directory):
    converge(directory)
    for _round in range(2):
        for stage in ("trust", "reissue", "drop"):
            rotate(directory, stage)
    assert parts(directory) == [["CA G3"], [], [], ["CA", "CA G2"]]


class Killed(Exception):
    """Stands for the death of the process."""


def counting(function, left):
    """The same function, which raises Killed after a number of calls of it and others."""

    def counted(*arguments, **options):
        left[0] -= 1
        if left[0] < 0:
            raise Killed
        return function(*arguments, **options)

    return counted


@pytest.mark.parametrize("stage", ["trust", "reissue", "drop"])
@pytest.mark.parametrize("moment", range(4))
def test_a_stage_that_is_killed_between_two_files_is_resumed(directory, monkeypatch, stage, moment):
    converge(directory)
    for earlier in {"trust": (), "reissue": ("trust",), "drop": ("trust", "reissue")}[stage]:
        rotate(directory, earlier)
    issued_before = check_authority("", authority_store.read_material(str(directory), None).state, NOW)
    left = [moment]
    for name in ("write_file", "rename", "remove_file"):
        monkeypatch.setattr(files, name, counting(getattr(files, name), left))
    with contextlib.suppress(Killed):
        rotate(directory, stage)
    monkeypatch.undo()
    # After every interruption, an authority can issue.
    state = authority_store.read_material(str(directory), None).state
    assert check_authority(str(directory), state, NOW).common_name in (issued_before.common_name, "CA G2")
    rotate(directory, stage)
    rotate(directory, stage)
    expected = {
        "trust": [["CA"], ["CA G2"], [], []],
        "reissue": [["CA G2"], [], ["CA"], []],
        "drop": [["CA G2"], [], [], ["CA"]],
    }
    assert parts(directory) == expected[stage]


def test_a_successor_whose_key_is_missing_is_created_again(directory):
    converge(directory)
    rotate(directory, "trust")
    (directory / "next.key").unlink()
    assert parts(directory) == [["CA"], [], [], []]
    assert rotate(directory, "trust") == ["no_successor"]
    assert rotate(directory, "reissue") == ["not_issuing"]


# --- authorities by path or content ---------------------------------------------------------------


# openssl issues no certificates that begin in the past.
LATER = NOW + DAY


def corporate(tmp_path, **options):
    """Return the files of an intermediate below a root, made with openssl like a corporate PKI."""
    pki = tmp_path / "corporate"
    pki.mkdir()
    extensions = pki / "extensions"
    extensions.write_text(
        "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\n"
        f"subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n{options.get('extensions', '')}"
    )
    commands = [
        "openssl req -x509 -newkey rsa:2048 -nodes -keyout root.key -out root.pem -days 3650 -subj /O=Corp/CN=Root "
        "-addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign",
        "openssl req -newkey rsa:2048 -nodes -keyout ca.key -out ca.csr -subj /O=Corp/CN=Issuing",
        "openssl x509 -req -in ca.csr -CA root.pem -CAkey root.key -CAcreateserial -days 1000 -out ca.pem -extfile extensions",
    ]
    for command in commands:
        subprocess.run(command.split(), cwd=pki, check=True, capture_output=True)
    return pki


def test_a_corporate_intermediate_is_used_with_its_chain(tmp_path):
    pki = corporate(tmp_path)
    chain = (pki / "ca.pem").read_bytes() + (pki / "root.pem").read_bytes()
    material = authority_store.parse_material(chain, (pki / "ca.key").read_bytes(), None)
    assert check_authority("mine", material.state, LATER).subject == "CN=Issuing,O=Corp"
    offered = authority_store.offer_authority("mine", material, LATER)
    assert names_of(offered.trust.exact("client").anchors) == ["Issuing", "Root"]
    # Other certificates of the root must not give access to an engine.
    assert names_of(offered.trust.exact("server").anchors) == ["Issuing"]


@pytest.mark.parametrize(
    ("files_in_order", "complaint"),
    [
        (("ca.pem",), "CN=Issuing,O=Corp is not followed by its issuer CN=Root,O=Corp"),
        (("root.pem", "ca.pem"), "the key of another certificate"),
        (("ca.pem", "ca.pem", "root.pem"), "path length 0, but the chain needs at least 1"),
    ],
)
def test_an_invalid_chain_is_rejected(tmp_path, files_in_order, complaint):
    pki = corporate(tmp_path)
    chain = b"".join((pki / name).read_bytes() for name in files_in_order)
    material = authority_store.parse_material(chain, (pki / "ca.key").read_bytes(), None)
    with pytest.raises(Refused, match=complaint):
        authority_store.offer_authority("mine", material, LATER)


def test_an_authority_without_its_key_can_be_trusted_and_cannot_issue(tmp_path):
    pki = corporate(tmp_path)
    chain = (pki / "ca.pem").read_bytes() + (pki / "root.pem").read_bytes()
    offered = authority_store.offer_authority(
        "mine", authority_store.parse_material(chain, None, None), LATER
    )
    assert "without ca.key" in offered.obstacle
    assert offered.certificate


def deny(monkeypatch, name):
    """Make a call fail as for a user without access. The tests may run as root."""

    def denied(path, *_args, **_options):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(os, name, denied)


@pytest.mark.parametrize("call", ["mkdir", "stat", "listdir"])
def test_a_directory_without_access_is_reported_with_the_user_and_the_machine(directory, monkeypatch, call):
    if call != "mkdir":
        converge(directory)
    deny(monkeypatch, call)
    with pytest.raises(WormholeError) as caught:
        converge(directory)
    assert "Permission denied" in str(caught.value)
    assert (
        f"Certificates are signed on {os.uname().nodename}, by user {pwd.getpwuid(os.geteuid()).pw_name}"
        in str(caught.value)
    )
    assert "set certificate_authority_directory" in caught.value.remedy
    assert "become: true" not in str(caught.value)


def test_a_user_without_a_home_directory_is_told_so(monkeypatch):
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    for options in ({"directory": "~/ca"}, {"certificate_path": "~/ca.pem"}):
        with pytest.raises(InvalidInput) as caught:
            load_material(options, "")
        assert "where certificates are signed, the home directory is unknown" in str(caught.value)


def test_an_authority_by_path_is_checked_with_the_mode_of_its_key(directory):
    converge(directory)
    by_path = {
        "certificate_path": str(directory / "ca.pem"),
        "private_key_path": str(directory / "ca.key"),
        "directory": None,
    }
    assert "warnings" not in ensure_authority(by_path, check_mode=False)
    (directory / "ca.key").chmod(0o644)
    (text,) = ensure_authority(by_path, check_mode=False)["warnings"]
    assert f"private key {directory}/ca.key has mode 0644" in text
    assert "chmod 0600" in text
