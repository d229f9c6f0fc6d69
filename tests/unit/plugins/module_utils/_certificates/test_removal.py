# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The record of created certificates, and the removal that it determines."""

from __future__ import annotations

import dataclasses
import errno

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import ApplyFailed, Refused
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.io import removal as removal_host
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.record import (
    Record,
    parse_record,
    render_record,
)
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.removal import (
    Place,
    RemovalState,
    RemoveDirectory,
    RemoveFiles,
    find_kept,
    plan_removal,
    simulate_removal,
)

ETC, SERVER, AGENT = "/etc/wormhole", "/etc/wormhole/server", "/etc/wormhole/identities/agent"
IDENTITIES = "/etc/wormhole/identities"
FILES = ("ca.pem", "cert.pem", "key.pem")
OURS = {name: (f"our {name}",) for name in FILES}
THERE = {name: f"our {name}" for name in FILES}
MADE = (ETC, IDENTITIES, AGENT, SERVER)
RECORD = Record({SERVER: OURS, AGENT: OURS}, MADE)
STATE = RemovalState(
    RECORD,
    {SERVER: Place(THERE), AGENT: Place(THERE)},
    {ETC: ("identities", "server"), IDENTITIES: ("agent",), SERVER: FILES, AGENT: FILES},
)
KEY_FIRST = ("key.pem", "cert.pem", "ca.pem")


def change(state=STATE, **fields):
    return dataclasses.replace(state, **fields)


def with_contents(state=STATE, **fields):
    """The state with additional names in these directories."""
    contents = dict(state.contents)
    for path, names in fields.pop("more", {}).items():
        contents[path] = tuple(sorted({*contents.get(path, ()), *names}))
    return change(state, contents=contents, **fields)


def without_agent_directory(record=RECORD):
    return dataclasses.replace(record, directories=(SERVER,))


# --- the record -----------------------------------------------------------------------------------


def test_a_record_is_read_as_it_was_written():
    assert parse_record(render_record(RECORD), "/r") == RECORD
    assert not RECORD.is_empty
    assert Record().is_empty


def test_a_record_marks_identities_as_long_as_they_exist():
    record = Record().with_files(SERVER, {"key.pem": "a"}, {}).with_identity(SERVER).with_identity("/unknown")
    assert record.identities == (SERVER,)
    assert parse_record(render_record(record), "/r") == record
    assert record.without_identity(SERVER).identities == ()
    assert record.without_certificate(SERVER).is_empty


def test_a_record_without_identities_is_read():
    content = b'{"version": 1, "certificates": {}, "directories": ["/etc/wormhole"]}'
    assert parse_record(content, "/r") == Record(directories=("/etc/wormhole",))


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"{}", b"null", b'{"version": 2, "certificates": {}, "directories": []}', b"\xff\xfe"],
)
def test_an_invalid_record_is_rejected(content):
    with pytest.raises(Refused, match="/r"):
        parse_record(content, "/r")


def test_the_present_content_stays_recorded_until_it_is_replaced():
    """A run may be interrupted before or after the new file is in place."""
    record = Record().with_files(SERVER, {"key.pem": "a"}, {})
    record = record.with_files(SERVER, {"key.pem": "b"}, {"key.pem": "a"})
    assert record.knows(SERVER, "key.pem", "a")
    assert record.knows(SERVER, "key.pem", "b")
    record = record.with_files(SERVER, {"key.pem": "c"}, {"key.pem": "b"})
    assert not record.knows(SERVER, "key.pem", "a")
    assert record.knows(SERVER, "key.pem", "b")


def test_replacing_an_unmanaged_file_does_not_record_its_content():
    record = Record().with_files(SERVER, {"key.pem": "a"}, {"key.pem": "foreign"})
    assert not record.knows(SERVER, "key.pem", "foreign")


def test_a_certificate_that_was_only_requested_is_recorded_by_its_directory():
    record = Record().with_files(SERVER, {}, {}).with_directories([SERVER, ETC])
    assert record == Record({SERVER: {}}, (ETC, SERVER))
    assert record.without_certificate(SERVER).without_directories([ETC, SERVER]).is_empty


# --- removal --------------------------------------------------------------------------------------


def test_everything_that_was_created_is_removed():
    plan = plan_removal([], STATE)
    assert plan.actions == (
        RemoveFiles(AGENT, KEY_FIRST),
        RemoveFiles(SERVER, KEY_FIRST),
        RemoveDirectory(AGENT),
        RemoveDirectory(IDENTITIES),
        RemoveDirectory(SERVER),
        RemoveDirectory(ETC),
    )
    assert find_kept([], STATE) == {}
    after = simulate_removal(STATE, plan)
    assert after.record.is_empty
    assert after.contents == {}


def test_without_a_record_nothing_is_removed():
    assert plan_removal([], RemovalState()).is_empty


@pytest.mark.parametrize("limit", [IDENTITIES, AGENT])
def test_only_certificates_below_a_limit_are_removed(limit):
    plan = plan_removal([limit], STATE)
    assert plan.actions == (
        RemoveFiles(AGENT, KEY_FIRST),
        RemoveDirectory(AGENT),
        RemoveDirectory(IDENTITIES),
    )
    assert find_kept([limit], STATE) == {}


def test_a_limit_is_a_whole_path_not_a_prefix():
    assert plan_removal(["/etc/worm", "/etc/wormhole/identities/agen"], STATE).is_empty


def test_an_unmanaged_file_keeps_its_directory_and_is_reported():
    state = with_contents(more={SERVER: ["notes.txt"]})
    plan = plan_removal([], state)
    assert RemoveFiles(SERVER, KEY_FIRST) in plan.actions
    assert {RemoveDirectory(SERVER), RemoveDirectory(ETC)}.isdisjoint(plan.actions)
    assert find_kept([], state) == {SERVER: ["notes.txt"]}
    after = simulate_removal(state, plan)
    assert plan_removal([], after).is_empty
    # It is reported until it is removed.
    assert find_kept([], after) == {SERVER: ["notes.txt"]}
    gone = change(after, contents={**after.contents, SERVER: ()})
    assert plan_removal([], gone).actions == (RemoveDirectory(SERVER), RemoveDirectory(ETC))


def test_an_unmanaged_certificate_beside_a_recorded_one_stays():
    state = with_contents(more={ETC: ["theirs"]})
    plan = plan_removal([], state)
    assert RemoveDirectory(ETC) not in plan.actions
    assert find_kept([], state) == {ETC: ["theirs"]}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_was_changed_since_stays(name):
    state = change(places={**STATE.places, SERVER: Place({**THERE, name: "foreign"})})
    plan = plan_removal([], state)
    assert RemoveFiles(SERVER, tuple(other for other in KEY_FIRST if other != name)) in plan.actions
    assert find_kept([], state) == {SERVER: [name]}


def test_an_existing_directory_stays_and_only_names_of_certificate_files_are_reported():
    state = with_contents(change(record=without_agent_directory()), more={AGENT: ["notes.txt"]})
    assert RemoveDirectory(AGENT) not in plan_removal([], state).actions
    assert find_kept([], state) == {}
    state = change(state, places={**state.places, AGENT: Place({**THERE, "cert.pem": "foreign"})})
    assert find_kept([], state) == {AGENT: ["cert.pem"]}


def test_leftovers_of_an_interrupted_run_are_removed_too():
    pending = f"{ETC}/.server.pending"
    state = RemovalState(
        Record({SERVER: {}}, (ETC, SERVER)),
        {SERVER: Place({}, (f"{pending}/key.pem", pending))},
        {ETC: (".server.pending",)},
    )
    plan = plan_removal([], state)
    assert plan.actions == (
        RemoveFiles(SERVER, (), (f"{pending}/key.pem", pending)),
        RemoveDirectory(SERVER),
        RemoveDirectory(ETC),
    )
    assert "interrupted" in plan.texts()[0]


def test_removed_files_are_removed_from_the_record():
    state = RemovalState(RECORD, {}, {ETC: ()})
    plan = plan_removal([], state)
    assert len(plan.actions) == 6
    assert simulate_removal(state, plan).record.is_empty


def test_files_named_in_daemon_json_are_reported():
    path = f"{SERVER}/cert.pem"
    plan = plan_removal([], change(in_use={path: "/etc/docker/daemon.json as tlscert"}))
    (action,) = [
        action for action in plan.actions if isinstance(action, RemoveFiles) and action.directory == SERVER
    ]
    assert action.in_use == "/etc/docker/daemon.json as tlscert"
    assert [text for text in plan.texts() if "tlscert" in text]


@st.composite
def states(draw):
    """Hosts with certificates created in some directories, and files changed by others since."""
    places, contents, certificates = {}, {}, {}
    for directory in draw(st.sets(st.sampled_from([SERVER, AGENT, f"{AGENT}/nested", "/opt/c"]))):
        certificates[directory] = draw(st.sampled_from([OURS, {}]))
        digests = {
            name: draw(st.sampled_from([f"our {name}", "foreign"]))
            for name in draw(st.sets(st.sampled_from(FILES)))
        }
        parent, _slash, name = directory.rpartition("/")
        pending = f"{parent}/.{name}.pending"
        leftovers = draw(st.sampled_from([(), (pending,)]))
        places[directory] = Place(digests, leftovers)
        contents[directory] = {*digests, *draw(st.sets(st.sampled_from(["notes", ".hidden"])))}
        if leftovers:
            contents.setdefault(parent, set()).add(f".{name}.pending")
        while parent:
            contents.setdefault(parent, set()).add(name)
            parent, _slash, name = parent.rpartition("/")
    made = draw(st.sets(st.sampled_from([*contents, "/gone"]) if contents else st.nothing()))
    return RemovalState(
        Record(certificates, tuple(sorted(made))),
        places,
        {path: tuple(sorted(names)) for path, names in contents.items()},
    )


LIMITS = st.sampled_from([[], [SERVER], [IDENTITIES], ["/opt"], [SERVER, AGENT]])


@given(states(), LIMITS)
def test_after_a_plan_nothing_is_left_to_do(state, limits):
    assert plan_removal(limits, simulate_removal(state, plan_removal(limits, state))).is_empty


@given(states(), LIMITS)
def test_nothing_is_removed_that_was_not_created(state, limits):
    for action in plan_removal(limits, state).actions:
        if isinstance(action, RemoveDirectory):
            assert action.path in state.record.directories
        else:
            for name in action.names:
                digest = state.places[action.directory].digests[name]
                assert state.record.knows(action.directory, name, digest)


@given(states())
def test_directories_are_empty_when_they_are_removed(state):
    contents = {path: set(names) for path, names in state.contents.items()}
    for action in plan_removal([], state).actions:
        paths = [action.path] if isinstance(action, RemoveDirectory) else action.leftovers
        if isinstance(action, RemoveDirectory):
            assert not contents.get(action.path)
        else:
            contents.get(action.directory, set()).difference_update(action.names)
        for path in paths:
            parent, _slash, name = path.rpartition("/")
            contents.get(parent, set()).discard(name)


@given(states())
def test_files_that_stay_in_a_created_directory_are_reported(state):
    after = simulate_removal(state, plan_removal([], state))
    named = [f"{path}/" for path in find_kept([], state)]
    for path in after.record.directories:
        assert not after.contents.get(path) or any(place.startswith(f"{path}/") for place in named)


# --- a read-only file system ----------------------------------------------------------------------


def test_what_cannot_be_removed_is_reported_before_anything_is():
    with pytest.raises(
        Refused, match=f"Cannot remove {SERVER}/key.pem: the file system of {SERVER} is mounted"
    ):
        plan_removal((), change(read_only=(SERVER,)))
    with pytest.raises(Refused, match=f"Cannot remove {ETC}: the file system of /etc is mounted read-only"):
        plan_removal((), change(read_only=("/etc",)))
    assert plan_removal([AGENT], change(read_only=(SERVER,))) == plan_removal([AGENT], STATE)


def test_what_no_longer_exists_needs_no_removal_there():
    gone = RemovalState(RECORD, {}, {}, {}, ("/etc", ETC))
    assert {type(action) for action in plan_removal((), gone).actions} == {RemoveFiles, RemoveDirectory}


def test_a_missing_directory_of_a_read_only_file_system_is_forgotten(tmp_path, monkeypatch):
    def fail(path):
        raise OSError(errno.EROFS, "Read-only file system", path)

    monkeypatch.setattr(removal_host.os, "rmdir", fail)
    assert removal_host._remove_directory(str(tmp_path / "gone"))
    with pytest.raises(ApplyFailed, match="mounted read-only"):
        removal_host._remove_directory(str(tmp_path))
