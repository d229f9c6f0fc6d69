# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A wormhole and its identity, decided together: tables, and that a plan leaves nothing to do."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import (
    InvalidInput,
    Refused,
    VerificationFailed,
)
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.authority import (
    AuthoritySpec,
    authority_certificate,
)
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.facts import FILES, KEY_FILE
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.model import (
    CertificateState,
    IssueCertificate,
    expected_entries,
)
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.record import Record
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.removal import (
    Place,
    RemovalState,
    RemoveFiles,
)
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.trust import (
    Anchor,
    Authority,
    Trust,
)
from ansible_collections.wormhole.docker.plugins.module_utils._engine.security import parse_security
from ansible_collections.wormhole.docker.plugins.module_utils._wormhole.identity import (
    ManagedState,
    creation,
    future_uid,
    owned,
    plan_managed,
    split_actions,
)
from ansible_collections.wormhole.docker.plugins.module_utils._wormhole.identity_spec import (
    certificate_options,
    parse_identity,
)
from ansible_collections.wormhole.docker.plugins.module_utils._wormhole.model import (
    CreateContainer,
    PullImage,
    RemoveContainer,
)
from ansible_collections.wormhole.docker.plugins.module_utils._wormhole.plan import plan_wormhole
from ansible_collections.wormhole.docker.plugins.module_utils._wormhole.spec import parse_spec
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._engine.io.fake import make_image
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._wormhole.identity_simulation import (
    simulate_managed,
)
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._wormhole.test_plan import (
    DEFAULTS,
    VIRGIN,
)

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=timezone.utc)
DAY = timedelta(days=1)
CA = authority_certificate(AuthoritySpec("/ca", "CA", "ecdsa-p256", 3650 * DAY), NOW - 1000 * DAY)
AUTHORITY = Authority(Trust(issuing=(Anchor("ca", "-----ca-----"),)), CA)
PARAMS = {
    **DEFAULTS,
    "identity_managed": True,
    "identity_key_type": "ecdsa-p256",
    "identity_validity_days": 365,
}
HERE = "/etc/wormhole/identities/agent"
OTHER = "/etc/wormhole/identities/other"
IMAGES = {user: make_image(f"image of {user}", User=user) for user in ("", "1234", "4321:5", "ci", "dev")}
"""By user; ``ci`` and ``dev`` are known to the image alone."""


def wanted(**params):
    params = {**PARAMS, **params}
    spec = parse_spec(params, "/var/run/docker.sock")
    managed = spec.wiring.identity_managed and spec.state != "absent"
    identity = (
        parse_identity(params, spec.wiring.identity, spec.wiring.identity_directory) if managed else None
    )
    return spec, identity


def virgin(user="1234"):
    return ManagedState(replace(VIRGIN, image=IMAGES[user]))


def plan(found, authority=AUTHORITY, now=NOW, **params):
    return plan_managed(*wanted(**params), found, authority, now)


def after(found, uid, now=NOW, **params):
    """What a run with these parameters leaves; uid is what the container turns out to run as."""
    spec, identity = wanted(**params)
    left = simulate_managed(
        found, plan_managed(spec, identity, found, AUTHORITY, now), identity, AUTHORITY, now, uid
    )
    return replace(left, wormhole=replace(left.wormhole, created_now=False, started_now=False))


def recorded(*directories, identities=()):
    """A host with certificates made and present in these directories; some have a wormhole."""
    digests = {name: f"of {name}" for name in FILES}
    known = {place: {name: (digest,) for name, digest in digests.items()} for place in directories}
    return RemovalState(
        record=Record(known, tuple(sorted(directories)), tuple(sorted(identities))),
        places={place: Place(digests) for place in directories},
        contents={place: tuple(sorted(FILES)) for place in directories},
    )


def with_identity(state, **fields):
    return replace(state, identity=replace(state.identity, **fields))


def codes(decided):
    return [reason.code for reason in decided.reasons]


def kinds(decided):
    return [type(action).__name__ for action in decided.actions]


@pytest.mark.parametrize(
    "image, user, uid",
    [
        ("", None, 0),
        ("1234", None, 1234),
        ("4321:5", None, 4321),
        ("1234", "77", 77),
        ("ci", "77:88", 77),
        ("ci", None, None),
        ("1234", "ci", None),
        ("ci", "root", None),
    ],
)
def test_who_runs_in_a_container_is_known_by_number_before_it_is_created(image, user, uid):
    spec, _identity = wanted(**({} if user is None else {"user": user}))
    state = virgin(image)
    assert future_uid(spec, state, plan_wormhole(spec, state.wormhole)) == uid
    decided = plan(state, **({} if user is None else {"user": user}))
    issue = decided.actions[0]
    assert isinstance(issue, IssueCertificate)
    assert (issue.spec.uid, issue.spec.gid) == (uid or 0, 0)
    named = (user or image).partition(":")[0] if user is not None else "of the image"
    assert decided.after["identity"]["key.pem"] == f"0400 {f'user {named}' if uid is None else uid}:0"


DROPPING = {"user": "root", "identity_owner": "77:88"}


def test_an_identity_belongs_to_its_owner_whoever_starts_the_container():
    state = virgin("")
    spec, _identity = wanted(**DROPPING)
    assert future_uid(spec, state, plan_wormhole(spec, state.wormhole)) == 77
    decided = plan(state, **DROPPING)
    assert decided.after["identity"]["key.pem"] == "0400 77:0"
    assert plan(after(state, 77, **DROPPING), **DROPPING).is_empty
    named = plan(state, user="root", identity_owner="ci")
    assert named.after["identity"]["key.pem"] == "0400 user ci:0"
    assert plan(
        after(state, 1234, user="root", identity_owner="ci"), user="root", identity_owner="ci"
    ).is_empty


@pytest.mark.parametrize("params, uid", [({}, 0), ({"identity_owner": "99"}, 99), ({"user": "5"}, 5)])
def test_another_owner_takes_another_container(params, uid):
    state = after(virgin(""), 77, **DROPPING)
    decided = plan(state, **params)
    assert kinds(decided) == ["CreateContainer"]
    assert decided.before["identity"]["key.pem"] == "0400 77:0"
    assert decided.after["identity"]["key.pem"] == f"0400 {uid}:0"
    assert any("identity_owner" in text or "identity-owner" in text for text in decided.texts())
    assert plan(after(state, uid, **params), **params).is_empty


def test_a_container_that_keeps_its_image_keeps_the_owner_of_its_identity():
    state = after(virgin(""), 77, **DROPPING)
    spec = parse_spec({**PARAMS, "image": None}, "/var/run/docker.sock")
    assert plan_managed(spec, None, state, AUTHORITY, NOW).is_empty


def test_who_runs_in_an_image_that_has_to_be_pulled_is_not_known():
    state = ManagedState(replace(VIRGIN, image=None))
    spec, _identity = wanted()
    decided = plan(state)
    assert any(isinstance(action, PullImage) for action in decided.actions)
    assert future_uid(spec, state, decided) is None
    assert decided.after["identity"]["key.pem"] == "0400 user of the image:0"


@pytest.mark.parametrize("host_users, uid", [(False, 101234), (True, 1234)])
def test_where_the_engine_maps_users_the_identity_is_the_hosts_users(host_users, uid):
    security = parse_security(
        {"SecurityOptions": ["name=userns"], "DockerRootDir": "/var/lib/docker/100000.100000"}
    )
    state = virgin()
    wormhole = replace(state.wormhole, wiring=replace(state.wormhole.wiring, security=security))
    spec, identity = wanted()
    spec = replace(spec, wiring=replace(spec.wiring, host_users=host_users))
    decided = plan_managed(spec, identity, replace(state, wormhole=wormhole), AUTHORITY, NOW)
    assert decided.actions[0].spec.uid == uid


def test_nobody_is_a_user_that_the_engine_does_not_map():
    security = parse_security(
        {"SecurityOptions": ["name=userns"], "DockerRootDir": "/var/lib/docker/100000.100000"}
    )
    state = virgin()
    wormhole = replace(state.wormhole, wiring=replace(state.wormhole.wiring, security=security))
    with pytest.raises(VerificationFailed, match="user 70000 of container agent"):
        plan(replace(state, wormhole=wormhole), user="70000")


def test_a_new_wormhole_gets_its_identity_first_and_then_nothing_is_left_to_do():
    state = virgin()
    decided = plan(state)
    assert codes(decided) == ["identity_missing", "missing"]
    assert kinds(decided) == ["IssueCertificate", "CreateContainer"]
    assert decided.before["identity"] == {"state": "absent"}
    assert {reason.subject for reason in decided.reasons} == {"agent"}
    assert plan(after(state, 1234)).is_empty


def test_a_renewal_touches_no_container():
    decided = plan(after(virgin(), 1234, now=NOW - 300 * DAY))
    assert codes(decided) == ["identity_expires_soon"]
    assert kinds(decided) == ["IssueCertificate"]
    assert decided.actions[0].keep_key


def test_a_key_that_is_somebody_elses_is_given_back_without_another_container():
    state = after(virgin("ci"), 1234)
    entries = {**state.identity.certificate.entries}
    entries[KEY_FILE] = replace(entries[KEY_FILE], uid=77)
    drifted = with_identity(state, certificate=replace(state.identity.certificate, entries=entries))
    decided = plan(drifted)
    assert codes(decided) == ["identity_owner_drift"]
    assert kinds(decided) == ["SetAttributes"]


def test_a_container_that_is_replaced_keeps_its_identity_until_it_is_stopped():
    state = after(virgin(), 1234)
    decided = plan(state, user="77")
    assert codes(decided) == ["identity_owner_differs", "user_differs"]
    assert kinds(decided) == ["CreateContainer"]
    assert decided.before["identity"]["key.pem"] == "0400 1234:0"
    assert decided.after["identity"]["key.pem"] == "0400 77:0"
    due = plan(state, user="77", now=NOW + 300 * DAY)
    assert due.actions[0].spec.uid == 1234
    assert plan(after(state, 77, user="77"), user="77").is_empty


@pytest.mark.parametrize("user", ["1234", "ci"])
def test_a_container_that_goes_over_to_another_wormholes_identity_takes_nothing_from_it_before(user):
    mine = after(virgin(""), 0, user="0")
    shared = after(virgin(), 1234, identity="other").identity.certificate
    state = with_identity(mine, certificate=shared, sharers={"other": 1234})
    decided = plan(state, identity="other", user=user)
    assert kinds(decided) == ["CreateContainer"]
    assert "identity_owner_drift" not in codes(decided)


def test_another_image_in_which_the_users_name_may_mean_another_one_is_no_reason_by_itself():
    state = after(virgin("ci"), 1234, user="ci")
    assert plan(state, user="ci").is_empty
    moved = replace(state, wormhole=replace(state.wormhole, image=IMAGES["dev"]))
    decided = plan(moved, user="ci")
    assert codes(decided) == ["image_differs"]
    assert plan(after(moved, 77, user="ci"), user="ci").is_empty


def test_an_identity_whose_container_is_gone_is_its_successors():
    state = replace(after(virgin(), 1234), wormhole=virgin().wormhole)
    state = with_identity(state, uid=None)
    assert codes(plan(state)) == ["missing"]
    assert codes(plan(state, user="77")) == ["identity_owner_drift", "missing"]
    assert codes(plan(state, user="ci")) == ["missing"]


@pytest.mark.parametrize("sharers, refused", [({}, False), ({"other": 1234}, False), ({"other": 77}, True)])
def test_wormholes_that_share_an_identity_have_one_user(sharers, refused):
    state = with_identity(virgin(), sharers=sharers)
    if refused:
        with pytest.raises(
            Refused, match="cannot belong to user 1234 of container agent.*other, whose user is 77"
        ):
            plan(state)
    else:
        assert not plan(state).is_empty


def test_an_authority_that_cannot_sign_stops_only_what_needs_it():
    state = after(virgin(), 1234)
    broken = replace(AUTHORITY, obstacle="its key is lost")
    assert plan(state, authority=broken).is_empty
    with pytest.raises(Refused, match="its key is lost"):
        plan(virgin(), authority=broken)


def test_a_rotation_in_progress_is_not_overtaken():
    state = after(virgin(), 1234, now=NOW - 300 * DAY)
    previous = with_identity(state, certificate=replace(state.identity.certificate, issued_by="former"))
    with pytest.raises(Refused, match="has missed a rotation"):
        plan(previous)


@pytest.mark.parametrize("params", [{"transport": "unix"}, {"identity_managed": False}])
def test_what_is_not_looked_after_is_left_alone(params):
    decided = plan(virgin(), **params)
    assert kinds(decided) == ["CreateContainer"]
    labels = decided.actions[0].body["Labels"]
    assert "wormhole.docker.identity-directory" not in labels


# --- what goes ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "params, there, mounted, gone",
    [
        ({}, [HERE], (), [HERE]),
        ({}, [HERE, "/etc/wormhole/server"], (), [HERE]),
        ({}, [], (), []),
        ({}, [HERE], (HERE,), []),
        ({"identity_managed": False}, [HERE], (), []),
        ({"transport": "unix"}, [HERE], (), []),
        (
            {"identity": "other"},
            [HERE, OTHER],
            (),
            [HERE],
        ),
    ],
)
def test_an_identity_goes_with_its_container(params, there, mounted, gone):
    state = with_identity(after(virgin(), 1234), removal=recorded(*there), mounted=frozenset(mounted))
    params = {"state": "absent", **params}
    decided = plan(state, **params)
    assert isinstance(decided.actions[0], RemoveContainer)
    assert [action.directory for action in decided.actions if isinstance(action, RemoveFiles)] == gone
    assert plan(after(state, 1234, **params), **params).is_empty


def test_an_identity_goes_although_its_container_is_gone_already():
    state = with_identity(virgin(), removal=recorded(HERE, identities=[HERE]))
    decided = plan(state, state="absent")
    assert set(codes(decided)) == {"identity_not_wanted"}
    assert kinds(decided) == ["RemoveFiles", "RemoveDirectory"]
    assert plan(after(state, 1234, state="absent"), state="absent").is_empty


@pytest.mark.parametrize("made", [{"transport": "unix"}, {"identity_managed": False}, None])
def test_an_identity_that_somebody_else_has_made_stays_with_or_without_a_container_of_its_name(made):
    state = virgin() if made is None else after(virgin(), 1234, **made)
    state = with_identity(state, removal=recorded(HERE))
    decided = plan(state, state="absent")
    assert kinds(decided) == ([] if made is None else ["RemoveContainer"])
    assert plan(after(state, 1234, state="absent"), state="absent").is_empty


@pytest.mark.parametrize("params", [{"identity": "other"}, {"transport": "unix"}])
def test_an_identity_that_is_no_longer_used_goes_with_the_container_that_used_it(params):
    state = with_identity(after(virgin(), 1234), removal=recorded(HERE))
    if "identity" in params:
        state = with_identity(state, certificate=CertificateState())
    decided = plan(state, **params)
    assert kinds(decided)[-3:] == ["CreateContainer", "RemoveFiles", "RemoveDirectory"]
    assert plan(after(state, 1234, **params), **params).is_empty


def test_an_identity_that_is_handed_to_somebody_else_stays():
    state = with_identity(after(virgin(), 1234), removal=recorded(HERE))
    assert plan(state, identity_managed=False).is_empty
    assert kinds(plan(state, identity_managed=False, recreate=True)) == ["CreateContainer"]


def test_an_identity_of_a_container_that_stays_is_not_removed_whatever_else_the_task_says():
    """Labels are compared only if specified, so a container's label may be outdated."""
    state = with_identity(after(virgin(), 1234), removal=recorded("/elsewhere"))
    config = state.wormhole.container["Config"]
    labels = {**config["Labels"], "wormhole.docker.identity-directory": "/elsewhere"}
    container = {**state.wormhole.container, "Config": {**config, "Labels": labels}}
    state = replace(state, wormhole=replace(state.wormhole, container=container))
    assert plan(state, identity_managed=False).is_empty


# --- the law --------------------------------------------------------------------------------------

NUMBERS = {"": 0, "1234": 1234, "4321:5": 4321, "ci": 1234, "dev": 77, "77": 77}
USERS = st.sampled_from([None, "", "1234", "77", "ci", "dev"])
RUNS = st.fixed_dictionaries(
    {
        "image": st.sampled_from(sorted(IMAGES)),
        "user": USERS,
        "state": st.sampled_from(["started", "stopped", "present", "absent"]),
        "transport": st.sampled_from(["tls", "unix"]),
        "identity": st.sampled_from([None, "other"]),
        "identity_managed": st.booleans(),
        "identity_key_type": st.sampled_from(["ecdsa-p256", "ed25519"]),
        "recreate": st.booleans(),
        "days": st.sampled_from([0, 200, 300, 400]),
        "drift": st.sampled_from([None, 0, 99]),
    }
)


@given(st.lists(RUNS, min_size=1, max_size=4))
def test_a_plan_that_is_carried_out_leaves_nothing_to_do(runs):
    state, directories, made = virgin(), set(), set()
    for run in runs:
        run = dict(run)
        now, drift = NOW + run.pop("days") * DAY, run.pop("drift")
        image, user = run.pop("image"), run.pop("user")
        params = {**run, **({} if user is None else {"user": user})}
        params = {name: value for name, value in params.items() if value is not None}
        container = state.wormhole.container
        own = (container or {}).get("Config", {}).get("User", "") if container else ""
        uid = NUMBERS[user if user else image]
        spec, identity = wanted(**params)
        known = None if container is None else NUMBERS[own or ""]
        state = ManagedState(
            replace(state.wormhole, image=IMAGES[image], created_now=False, started_now=False),
            replace(state.identity, uid=known, removal=recorded(*sorted(directories), identities=made)),
        )
        if identity is not None and drift is not None and state.identity.certificate.entries:
            # Everything, as earlier versions did it.
            found = expected_entries(owned(identity, drift)).items()
            entries = {name: replace(entry, uid=drift) for name, entry in found}
            state = with_identity(state, certificate=replace(state.identity.certificate, entries=entries))
        decided = plan_managed(spec, identity, state, AUTHORITY, now)
        left = simulate_managed(state, decided, identity, AUTHORITY, now, uid)
        assert plan_managed(spec, identity, left, AUTHORITY, now).is_empty
        if identity is not None:
            directories.add(identity.directory)
            made.add(identity.directory)
            running = left.identity.certificate.entries
            number = uid if any(isinstance(action, CreateContainer) for action in decided.actions) else known
            owners = {name: entry.uid for name, entry in running.items()}
            assert owners.pop(KEY_FILE) == number
            assert set(owners.values()) == {0}
        elif creation(decided) is not None and spec.wiring.transport == "tls":
            made.discard(spec.wiring.identity_directory)
        assert bool(decided.reasons) == bool(split_actions(decided) and decided.actions)
        state = left


# --- options --------------------------------------------------------------------------------------


def test_what_may_be_signed_is_what_the_task_says():
    params = {
        **PARAMS,
        "identity_validity_days": 30,
        "identity_renew_before_days": 7,
        "identity_key_type": "rsa-3072",
    }
    assert certificate_options(params, "ci", "/somewhere/ci") == {
        "name": "ci",
        "profile": "client",
        "directory": "/somewhere/ci",
        "key_type": "rsa-3072",
        "validity_days": 30,
        "renew_before_days": 7,
    }
    spec = parse_identity(params, "ci", "/somewhere/ci")
    assert (spec.common_name, spec.key_mode, spec.validity, spec.renew_before) == (
        "ci",
        0o400,
        30 * DAY,
        7 * DAY,
    )


@pytest.mark.parametrize(
    ("directory", "mode"),
    [("/etc/wormhole/identities/ci", 0o700), ("/somewhere/ci", None), ("/etc/ci", None)],
)
def test_only_the_default_directory_of_identities_is_closed(directory, mode):
    """Others have a use for other directories: /etc must not be closed."""
    assert parse_identity(PARAMS, "ci", directory).parent_mode == mode


def test_only_the_key_belongs_to_the_user_of_the_container():
    spec = owned(parse_identity(PARAMS, "ci", "/etc/wormhole/identities/ci"), 1234)
    assert {name: (entry.mode, entry.uid) for name, entry in expected_entries(spec).items()} == {
        "..": (0o700, 0),
        "": (0o755, 0),
        "ca.pem": (0o444, 0),
        "cert.pem": (0o444, 0),
        "key.pem": (0o400, 1234),
    }


@pytest.mark.parametrize(
    "params, message",
    [
        ({"identity": "x" * 65}, "identity: expected 1 to 64 printable"),
        ({"identity_validity_days": 0}, "identity_validity_days: expected 1 to 36500 days"),
        ({"identity_renew_before_days": 365}, "identity_renew_before_days: expected at least 1"),
        (
            {"identity_directory": "//"},
            "identity_directory: expected an absolute path below /",
        ),
    ],
)
def test_options_that_cannot_be_meant_are_named(params, message):
    with pytest.raises(InvalidInput, match=f"^{message}"):
        wanted(**params)
