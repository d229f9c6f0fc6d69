# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificates in real directories: observed, requested, verified, installed and removed."""

from __future__ import annotations

import datetime
import os
import stat
from dataclasses import replace

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import (
    ApplyFailed,
    InvalidInput,
    VerificationFailed,
    WormholeError,
)
from ansible_collections.wormhole.docker.plugins.module_utils._base.io import files
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.authority import AuthoritySpec
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.io import (
    decoding,
    installing,
    issuing,
    signing,
    store,
)
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.io import (
    record as certificate_record,
)
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.io.authority import (
    make_certificate,
)
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.model import IssueCertificate
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.plan import plan_certificates
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.spec import parse_certificates
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.trust import Authority, Trust
from ansible_collections.wormhole.docker.plugins.module_utils._listener.io import guard_program

NOW = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
DAY = datetime.timedelta(days=1)
CA_KEY = issuing.make_key("ecdsa-p256")
CA_PEM = make_certificate(AuthoritySpec("/ca", "CA", "ecdsa-p256", 3650 * DAY), CA_KEY, NOW - 1000 * DAY)
AUTHORITY = Authority(Trust(decoding.read_bundle(CA_PEM)), decoding.read_certificate(CA_PEM), clock=NOW)
FILES = {"ca.pem", "cert.pem", "key.pem"}


def make_spec(directory, **given):
    option = {
        "name": "dockerd",
        "profile": "server",
        "state": "present",
        "directory": str(directory),
        "subject_alternative_names": ["IP:172.17.0.1"],
        "directory_mode": "0755",
        "key_mode": "0400",
        "certificate_mode": "0444",
        "key_type": "ecdsa-p256",
        "validity_days": 365,
        **given,
    }
    (spec,) = parse_certificates([option])
    return store.look_up_owner(spec)


def plan_for(spec, authority=AUTHORITY, now=NOW):
    return plan_certificates([spec], store.observe_certificates([spec], authority), authority, now)


def sign(spec, request, now=NOW):
    return signing.sign_certificate(spec, request, CA_PEM, CA_KEY, now)


def converge(spec, now=NOW):
    """Run both round trips. Return the codes of the reasons."""
    plan = plan_for(spec, now=now)
    wanted = [action for action in plan.actions if isinstance(action, IssueCertificate)]
    issued = {
        each.spec.name: sign(each.spec, store.make_request(each.spec, keep_key=each.keep_key), now)
        for each in wanted
    }
    installing.apply_certificates(plan_for(spec, now=now), AUTHORITY, issued, now)
    assert plan_for(spec, now=now).is_empty
    return [reason.code for reason in plan.reasons]


def contents(directory):
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(autouse=True)
def record(tmp_path, monkeypatch):
    """A directory for the record, instead of this machine's own."""
    monkeypatch.setattr(certificate_record, "directory", lambda: str(tmp_path / "state"))
    monkeypatch.setattr(certificate_record, "is_kept", lambda: True)
    return tmp_path / "state" / "certificates.json"


@pytest.fixture
def home(tmp_path):
    return tmp_path / "etc" / "server"


def test_a_certificate_is_installed_with_its_modes_and_nothing_else(home):
    assert converge(make_spec(home)) == ["missing"]
    assert set(contents(home)) == FILES
    assert [mode(home), *(mode(home / name) for name in sorted(FILES))] == [0o755, 0o444, 0o444, 0o400]
    assert os.listdir(home.parent) == ["server"]
    assert contents(home)["ca.pem"] == CA_PEM


def test_for_names_alone_key_and_bundle_stay_untouched(home):
    converge(make_spec(home))
    before, age = contents(home), (home / "ca.pem").stat().st_mtime_ns
    assert converge(make_spec(home, subject_alternative_names=["IP:172.17.0.1", "IP:172.18.0.1"])) == [
        "san_missing"
    ]
    after = contents(home)
    assert after["key.pem"] == before["key.pem"]
    assert after["cert.pem"] != before["cert.pem"]
    assert (home / "ca.pem").stat().st_mtime_ns == age


def test_for_other_changes_the_key_is_new(home):
    converge(make_spec(home))
    before = contents(home)
    assert converge(make_spec(home, common_name="other")) == ["wrong_common_name"]
    assert contents(home)["key.pem"] != before["key.pem"]


def test_a_second_run_finds_nothing_to_do(home):
    converge(make_spec(home))
    before = contents(home)
    assert converge(make_spec(home)) == []
    assert contents(home) == before


def test_a_pending_key_is_readable_only_for_its_owner_and_outside_the_directory(home):
    spec = make_spec(home)
    store.make_request(spec)
    waiting = home.parent / ".server.pending"
    assert not home.exists()
    assert (mode(waiting), mode(waiting / "key.pem")) == (0o700, 0o400)


def test_the_installed_key_was_generated_on_the_host(home):
    spec = make_spec(home)
    request = store.make_request(spec)
    made = (home.parent / ".server.pending" / "key.pem").read_bytes()
    installing.apply_certificates(plan_for(spec), AUTHORITY, {"dockerd": sign(spec, request)}, NOW)
    assert contents(home)["key.pem"] == made


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda home: (home / "cert.pem").unlink(), ["missing"]),
        (lambda home: (home / "key.pem").unlink(), ["missing"]),
        (lambda home: overwrite(home / "key.pem", b"-----BEGIN PRIVATE KEY-----\nhalf"), ["unreadable"]),
        (lambda home: overwrite(home / "cert.pem", b""), ["unreadable"]),
        (
            lambda home: overwrite(home / "key.pem", issuing.write_key(issuing.make_key("ecdsa-p256"))),
            ["key_mismatch"],
        ),
        (lambda home: (home / "ca.pem").unlink(), ["trust_bundle_outdated"]),
        (lambda home: overwrite(home / "ca.pem", b"another"), ["trust_bundle_outdated"]),
        (lambda home: (home / "key.pem").chmod(0o444), ["mode_drift"]),
        (lambda home: home.chmod(0o700), ["mode_drift"]),
        # As after a crash of the host.
        (
            lambda home: [overwrite(path, b"") for path in home.iterdir()],
            ["unreadable", "trust_bundle_outdated"],
        ),
    ],
)
def test_damage_is_found_and_repaired(home, damage, expected):
    spec = make_spec(home)
    converge(spec)
    before = contents(home)
    damage(home)
    assert converge(spec) == expected
    assert set(contents(home)) == FILES
    reissued = contents(home)["cert.pem"] != before["cert.pem"]
    assert reissued == (expected[0] in ("missing", "unreadable", "key_mismatch"))


def overwrite(path, content):
    permissions = mode(path)
    path.chmod(0o600)
    path.write_bytes(content)
    path.chmod(permissions)


def test_unmanaged_files_stay(home):
    home.mkdir(parents=True)
    (home / "notes.txt").write_text("mine", encoding="utf-8")
    converge(make_spec(home))
    assert contents(home)["notes.txt"] == b"mine"


def test_a_path_of_another_type_is_reported(home):
    home.mkdir(parents=True)
    (home / "key.pem").mkdir()
    with pytest.raises(WormholeError, match=r"key\.pem"):
        plan_for(make_spec(home))


# --- interrupted runs -----------------------------------------------------------------------------


def test_after_an_interruption_between_the_round_trips_no_key_is_left(home):
    spec = make_spec(home)
    store.make_request(spec)
    assert converge(spec) == ["missing"]
    assert os.listdir(home.parent) == ["server"]


def test_leftovers_beside_a_good_certificate_are_removed(home):
    spec = make_spec(home)
    converge(spec)
    store.make_request(spec)
    (home / ".key.pem.abc.new").write_bytes(b"half")
    assert converge(spec) == ["leftover"]
    assert os.listdir(home.parent) == ["server"]
    assert set(contents(home)) == FILES


@pytest.mark.parametrize("verb", ["removed", "replaced"])
def test_a_new_key_that_another_run_has_changed_is_reported(home, verb):
    spec = make_spec(home)
    certificate = sign(spec, store.make_request(spec))
    pending = home.parent / ".server.pending" / "key.pem"
    pending.unlink()
    if verb == "replaced":
        other = make_spec(home.parent / "other")
        store.make_request(other)
        pending.write_bytes((home.parent / ".other.pending" / "key.pem").read_bytes())
    with pytest.raises(
        ApplyFailed, match=f"Another run is at work on this host: it {verb} the new key.*Wait"
    ):
        installing.apply_certificates(plan_for(spec), AUTHORITY, {"dockerd": certificate}, NOW)
    assert not home.exists()


def test_the_gate_admits_a_replaced_certificate_until_clients_have_read_the_new_one(home, monkeypatch):
    converge(make_spec(home))
    present = (home / "cert.pem").read_bytes()
    seen = []

    def note(name):
        def noted(*arguments):
            # The last argument of admit_beside is the new certificate, which is not installed yet.
            is_new = (home / "cert.pem").read_bytes() != present
            seen.append((name, is_new, [argument == present for argument in arguments]))
            return True

        return noted

    monkeypatch.setattr(installing.admitted, "admit_beside", note("admit_beside"))
    monkeypatch.setattr(installing.admitted, "dismiss", note("dismiss"))
    monkeypatch.setattr(installing.time, "sleep", note("sleep"))
    converge(make_spec(home, common_name="other"))
    assert seen == [
        ("admit_beside", False, [True, False]),
        ("sleep", True, [False]),
        ("dismiss", True, [True]),
    ]


def test_nobody_waits_for_a_certificate_that_the_gate_does_not_admit(home, monkeypatch):
    slept = []
    monkeypatch.setattr(installing.admitted, "admit_beside", lambda *_certificates: False)
    monkeypatch.setattr(installing.time, "sleep", slept.append)
    converge(make_spec(home))
    converge(make_spec(home, common_name="other"))
    assert slept == []


# --- verified before it is installed --------------------------------------------------------------


def apply_one(spec, certificate, now=NOW):
    installing.apply_certificates(plan_for(spec, now=now), AUTHORITY, {"dockerd": certificate}, now)


@pytest.mark.parametrize(
    ("asked", "complaint"),
    [
        (
            {"subject_alternative_names": ["IP:172.17.0.2"]},
            "SAN missing: IP 172.17.0.1; SAN not requested: IP 172.17.0.2",
        ),
        ({"profile": "client"}, "expected serverAuth, found clientAuth"),
        ({"common_name": "other"}, "expected 'dockerd', found 'other'"),
    ],
)
def test_a_certificate_that_differs_from_the_requested_one_is_not_installed(home, asked, complaint):
    spec = make_spec(home)
    converge(spec)
    before = contents(home)
    (home / "cert.pem").unlink()
    certificate = sign(make_spec(home, **asked), store.make_request(spec))
    with pytest.raises(VerificationFailed) as caught:
        apply_one(spec, certificate)
    assert complaint in str(caught.value)
    assert contents(home)["key.pem"] == before["key.pem"]
    assert "cert.pem" not in contents(home)


def test_a_certificate_for_another_key_is_not_installed(home):
    spec = make_spec(home)
    certificate = sign(spec, store.make_request(spec))
    store.make_request(spec)
    with pytest.raises(ApplyFailed, match="Another run is at work on this host: it replaced the new key"):
        apply_one(spec, certificate)
    assert not home.exists()


def test_a_certificate_of_an_authority_of_the_same_name_is_not_installed(home):
    spec = make_spec(home)
    key = issuing.make_key("ecdsa-p256")
    pem = make_certificate(AuthoritySpec("/ca", "CA", "ecdsa-p256", 3650 * DAY), key, NOW)
    certificate = signing.sign_certificate(spec, store.make_request(spec), pem, key, NOW)
    with pytest.raises(VerificationFailed, match="wrong issuer"):
        apply_one(spec, certificate)
    assert not home.exists()


@pytest.mark.parametrize(("signed", "complaint"), [(DAY, "host's clock says"), (-400 * DAY, "expired")])
def test_the_host_verifies_with_its_own_clock(home, signed, complaint):
    spec = make_spec(home)
    certificate = sign(spec, store.make_request(spec), NOW + signed)
    with pytest.raises(VerificationFailed, match=complaint):
        apply_one(spec, certificate)
    assert not home.exists()


# --- removal --------------------------------------------------------------------------------------


def client(home, **given):
    return make_spec(home, profile="client", **given)


def test_a_client_is_removed_with_its_directory(home):
    converge(client(home))
    assert converge(client(home, state="absent")) == ["not_wanted"]
    assert os.listdir(home.parent) == []
    assert converge(client(home, state="absent")) == []


def test_unmanaged_files_survive_the_removal(home):
    converge(client(home))
    (home / "notes.txt").write_text("mine", encoding="utf-8")
    assert converge(client(home, state="absent")) == ["not_wanted"]
    assert contents(home) == {"notes.txt": b"mine"}


def test_a_pending_key_is_removed_too(home):
    store.make_request(client(home))
    assert converge(client(home, state="absent")) == ["leftover"]
    assert os.listdir(home.parent) == []


# --- owners ---------------------------------------------------------------------------------------


def test_without_an_owner_it_is_the_user_of_the_process(home):
    spec = make_spec(home)
    assert (spec.uid, spec.gid) == (os.geteuid(), os.getegid())


def numbers(spec):
    return spec.uid, spec.gid


def test_owners_are_numbers_or_known_names(home):
    assert numbers(make_spec(home, owner="root")) == (0, 0)
    assert numbers(make_spec(home, owner="0", group="4711")) == (0, 4711)
    # A user of a container that the host does not have.
    assert numbers(make_spec(home, owner="3999999")) == (3999999, 3999999)


@pytest.mark.parametrize("option", ["owner", "group"])
def test_unknown_names_are_rejected_before_anything_changes(home, option):
    with pytest.raises(InvalidInput, match="nobody-of-this-name"):
        make_spec(home, **{option: "nobody-of-this-name"})


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_owner_drift_is_corrected_without_a_new_certificate(home):
    spec = make_spec(home, owner="1234", group="4321")
    converge(spec)
    before = contents(home)
    os.chown(home / "key.pem", 0, 0)
    assert converge(spec) == ["owner_drift"]
    info = (home / "key.pem").stat()
    assert (info.st_uid, info.st_gid, stat.S_IMODE(info.st_mode)) == (1234, 4321, 0o400)
    assert contents(home) == before


def test_attributes_are_not_set_through_a_symbolic_link(home, tmp_path):
    """The directory may belong to a user who wants to own another file."""
    spec = make_spec(home)
    converge(spec)
    victim = tmp_path / "victim"
    victim.write_bytes((home / "cert.pem").read_bytes())
    victim.chmod(0o600)
    (home / "cert.pem").unlink()
    (home / "cert.pem").symlink_to(victim)
    with pytest.raises(ApplyFailed, match=r"cert\.pem"):
        converge(spec)
    assert mode(victim) == 0o600


def test_attributes_are_not_set_on_a_second_name_of_a_file(home, tmp_path):
    """Whoever owned the directory could have linked a file of root, to be given it."""
    spec = make_spec(home)
    converge(spec)
    victim = tmp_path / "victim"
    victim.write_bytes((home / "key.pem").read_bytes())
    victim.chmod(0o600)
    (home / "key.pem").unlink()
    os.link(victim, home / "key.pem")
    with pytest.raises(ApplyFailed, match=r"key\.pem is a hard link: the file has 2 names. Remove the link"):
        converge(spec)
    assert mode(victim) == 0o600


def test_a_pipe_in_place_of_a_file_is_reported_and_not_awaited(home):
    spec = make_spec(home)
    converge(spec)
    (home / "cert.pem").unlink()
    os.mkfifo(home / "cert.pem")
    with pytest.raises(WormholeError, match=r"cert\.pem is a named pipe, not a regular file"):
        plan_for(spec)
    with pytest.raises(WormholeError, match=r"cert\.pem is a named pipe"):
        installing.set_attributes(spec, "cert.pem")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize(
    ("modes", "theirs"),
    [
        ({}, {"key.pem"}),
        ({"directory_mode": "0751"}, {"", "key.pem"}),
        ({"directory_mode": "0700"}, {"", "key.pem"}),
        ({"certificate_mode": "0440"}, {"ca.pem", "cert.pem", "key.pem"}),
    ],
)
def test_the_owner_of_the_key_owns_only_what_others_cannot_read(home, modes, theirs):
    spec = make_spec(home, owner="1234", **modes)
    assert converge(spec) == ["missing"]
    owners = {name: (home / name).stat().st_uid for name in ("", *FILES)}
    assert {name for name, uid in owners.items() if uid == 1234} == theirs
    assert {uid for name, uid in owners.items() if name not in theirs} <= {0}


# --- the directory above identities ---------------------------------------------------------------


def identity(home, name="agent", **given):
    return replace(client(home.parent / name, name=name, **given), parent_mode=0o700)


def test_a_missing_parent_is_created_closed_before_the_key_waits_in_it(home):
    store.make_request(identity(home))
    assert (mode(home.parent), mode(home.parent.parent)) == (0o700, mode(home.parent.parent))
    assert mode(home.parent / ".agent.pending") == 0o700
    # The diff is that of check mode, which creates nothing.
    assert "parent directory" not in plan_for(identity(home)).after["agent"]
    assert converge(identity(home)) == ["missing"]
    assert mode(home.parent) == 0o700


@pytest.mark.parametrize("issued", [False, True])
def test_an_open_parent_is_closed_with_and_without_a_new_certificate(home, issued):
    converge(identity(home))
    home.parent.chmod(0o755)
    if issued:
        (home.parent / "agent" / "cert.pem").unlink()
    plan = plan_for(identity(home))
    assert plan.before["agent"]["parent directory"] == f"0755 {os.geteuid()}:{os.getegid()}"
    assert plan.after["agent"]["parent directory"] == "0700 0:0"
    assert converge(identity(home)) == (["missing"] if issued else []) + ["mode_drift"]
    assert mode(home.parent) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize(
    ("owner", "made_for_wormhole", "closed"),
    [
        ("1234", False, False),
        ("1234", True, True),
        ("0", False, True),
    ],
)
def test_the_parent_stays_open_for_identities_of_users_of_the_host(home, owner, made_for_wormhole, closed):
    other = client(home.parent / "theirs", name="theirs", owner=owner)
    converge(other)
    if made_for_wormhole:
        certificate_record.update(lambda record: record.with_identity(other.directory))
    before = mode(home.parent)
    assert before == 0o755
    plan = plan_for(identity(home))
    assert ("parent directory" in plan.after["agent"]) == closed
    converge(identity(home))
    assert mode(home.parent) == (0o700 if closed else 0o755)


# --- key and certificate change as one ------------------------------------------------------------


class PowerCut(Exception):
    """Ends a run at once."""


def cut_after(monkeypatch, done):
    """Let a run end after that many renames of a key or a certificate to their places."""
    rename, seen = files.rename, []

    def cut(path, target):
        if len(seen) == done:
            raise PowerCut
        rename(path, target)
        seen.append(target)

    monkeypatch.setattr(files, "rename", cut)


def matches(home):
    key = decoding.key_facts(decoding.read_key((home / "key.pem").read_bytes()))
    certificate = decoding.read_certificate((home / "cert.pem").read_bytes())
    return key.public_key_sha256 == certificate.public_key_sha256


def start_engine(home):
    """What the guard does before dockerd reads the files."""
    guard_program.complete(str(home / "cert.pem"), str(home / "key.pem"))


@pytest.mark.parametrize("profile", ["server", "client"])
def test_a_renewal_keeps_the_key(home, profile):
    converge(make_spec(home, profile=profile, validity_days=30))
    before = contents(home)
    assert converge(make_spec(home, profile=profile, renew_before_days=300)) == ["expires_soon"]
    assert contents(home)["key.pem"] == before["key.pem"]
    assert contents(home)["cert.pem"] != before["cert.pem"]


@pytest.mark.parametrize("done", [0, 1])
def test_a_power_cut_between_key_and_certificate_is_repaired_at_the_engines_start(home, monkeypatch, done):
    converge(make_spec(home))
    before = contents(home)
    with monkeypatch.context() as patch:
        cut_after(patch, done)
        with pytest.raises(PowerCut):
            converge(make_spec(home, common_name="other"))
    assert matches(home) == (done == 0)
    start_engine(home)
    assert matches(home)
    assert (contents(home)["key.pem"] != before["key.pem"]) == bool(done)
    assert mode(home / "key.pem") == 0o400
    assert mode(home / "cert.pem") == 0o444
    # The next run completes or repeats the change, and leaves nothing behind.
    assert converge(make_spec(home, common_name="other")) == (["wrong_common_name"], ["leftover"])[done]
    assert set(contents(home)) == FILES
    assert os.listdir(home.parent) == ["server"]


def test_without_a_start_in_between_the_next_run_repairs_it_and_can_be_cut_too(home, monkeypatch):
    converge(make_spec(home))
    # The second run first completes the first one.
    for renamed in (1, 2):
        with monkeypatch.context() as patch:
            cut_after(patch, renamed)
            with pytest.raises(PowerCut):
                converge(make_spec(home, common_name="other"))
        assert not matches(home)
    start_engine(home)
    assert matches(home)
    assert set(contents(home)) == FILES


@pytest.mark.parametrize("name", [".cert.pem.staged.new", ".key.pem.staged.new"])
def test_a_staged_file_of_another_pair_is_not_used(home, name):
    converge(make_spec(home))
    before = contents(home)
    (home / name).write_bytes(make_certificate(AuthoritySpec("/ca", "CA", "ecdsa-p256", DAY), CA_KEY, NOW))
    start_engine(home)
    assert {path: content for path, content in contents(home).items() if path in FILES} == before
    assert converge(make_spec(home)) == ["leftover"]
    assert contents(home) == before
