# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The record of what was made, and what goes by it."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.wormhole.docker.plugins.module_utils._core.certificate_record import (
    Record,
    parse_record,
    render_record,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.certificate_removal import (
    Place,
    RemovalState,
    RemoveDirectory,
    RemoveFiles,
    find_kept,
    plan_removal,
    simulate_removal,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import Refused

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
    """A state with more names in these of its directories."""
    contents = dict(state.contents)
    for path, names in fields.pop("more", {}).items():
        contents[path] = tuple(sorted({*contents.get(path, ()), *names}))
    return change(state, contents=contents, **fields)


def without_agent_directory(record=RECORD):
    return dataclasses.replace(record, directories=(SERVER,))


# --- the record ---------------------------------------------------------------------------------------------------


def test_a_record_is_read_as_it_was_written():
    assert parse_record(render_record(RECORD), "/r") == RECORD
    assert not RECORD.is_empty
    assert Record().is_empty


def test_a_record_tells_which_certificates_are_wormholes_as_long_as_they_are_there():
    record = Record().with_files(SERVER, {"key.pem": "a"}, {}).with_identity(SERVER).with_identity("/unknown")
    assert record.identities == (SERVER,)
    assert parse_record(render_record(record), "/r") == record
    assert record.without_identity(SERVER).identities == ()
    assert record.without_certificate(SERVER).is_empty


def test_a_record_of_a_release_that_did_not_tell_them_apart_is_read():
    content = b'{"version": 1, "certificates": {}, "directories": ["/etc/wormhole"]}'
    assert parse_record(content, "/r") == Record(directories=("/etc/wormhole",))


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"{}", b"null", b'{"version": 2, "certificates": {}, "directories": []}', b"\xff\xfe"],
)
def test_what_is_no_record_is_refused(content):
    with pytest.raises(Refused, match="/r"):
        parse_record(content, "/r")


def test_what_is_being_replaced_stays_known_until_it_is():
    """A run may end before the new file is in place, or after."""
    record = Record().with_files(SERVER, {"key.pem": "a"}, {})
    record = record.with_files(SERVER, {"key.pem": "b"}, {"key.pem": "a"})
    assert record.knows(SERVER, "key.pem", "a")
    assert record.knows(SERVER, "key.pem", "b")
    record = record.with_files(SERVER, {"key.pem": "c"}, {"key.pem": "b"})
    assert not record.knows(SERVER, "key.pem", "a")
    assert record.knows(SERVER, "key.pem", "b")


def test_what_somebody_else_wrote_does_not_become_known_by_being_replaced():
    record = Record().with_files(SERVER, {"key.pem": "a"}, {"key.pem": "foreign"})
    assert not record.knows(SERVER, "key.pem", "foreign")


def test_a_certificate_that_was_only_asked_for_is_known_by_its_directory():
    record = Record().with_files(SERVER, {}, {}).with_directories([SERVER, ETC])
    assert record == Record({SERVER: {}}, (ETC, SERVER))
    assert record.without_certificate(SERVER).without_directories([ETC, SERVER]).is_empty


# --- what goes ----------------------------------------------------------------------------------------------------


def test_everything_that_was_made_goes_and_nothing_is_left_of_it():
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


def test_nothing_was_made_nothing_goes():
    assert plan_removal([], RemovalState()).is_empty


@pytest.mark.parametrize("limit", [IDENTITIES, AGENT])
def test_only_what_is_below_a_limit_goes(limit):
    plan = plan_removal([limit], STATE)
    assert plan.actions == (
        RemoveFiles(AGENT, KEY_FIRST),
        RemoveDirectory(AGENT),
        RemoveDirectory(IDENTITIES),
    )
    assert find_kept([limit], STATE) == {}


def test_a_limit_is_a_path_and_not_its_beginning():
    assert plan_removal(["/etc/worm", "/etc/wormhole/identities/agen"], STATE).is_empty


def test_a_file_of_somebody_elses_keeps_its_directory_and_is_named():
    state = with_contents(more={SERVER: ["notes.txt"]})
    plan = plan_removal([], state)
    assert RemoveFiles(SERVER, KEY_FIRST) in plan.actions
    assert {RemoveDirectory(SERVER), RemoveDirectory(ETC)}.isdisjoint(plan.actions)
    assert find_kept([], state) == {SERVER: ["notes.txt"]}
    after = simulate_removal(state, plan)
    assert plan_removal([], after).is_empty
    # It is named again, until somebody removes it.
    assert find_kept([], after) == {SERVER: ["notes.txt"]}
    gone = change(after, contents={**after.contents, SERVER: ()})
    assert plan_removal([], gone).actions == (RemoveDirectory(SERVER), RemoveDirectory(ETC))


def test_a_certificate_of_somebody_elses_next_to_ours_stays():
    state = with_contents(more={ETC: ["theirs"]})
    plan = plan_removal([], state)
    assert RemoveDirectory(ETC) not in plan.actions
    assert find_kept([], state) == {ETC: ["theirs"]}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_somebody_has_written_since_stays(name):
    state = change(places={**STATE.places, SERVER: Place({**THERE, name: "foreign"})})
    plan = plan_removal([], state)
    assert RemoveFiles(SERVER, tuple(other for other in KEY_FIRST if other != name)) in plan.actions
    assert find_kept([], state) == {SERVER: [name]}


def test_a_directory_that_was_there_before_stays_and_only_our_names_in_it_are_told():
    state = with_contents(change(record=without_agent_directory()), more={AGENT: ["notes.txt"]})
    assert RemoveDirectory(AGENT) not in plan_removal([], state).actions
    assert find_kept([], state) == {}
    state = change(state, places={**state.places, AGENT: Place({**THERE, "cert.pem": "foreign"})})
    assert find_kept([], state) == {AGENT: ["cert.pem"]}


def test_what_an_interrupted_run_left_goes_too():
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


def test_what_somebody_has_removed_already_is_forgotten():
    state = RemovalState(RECORD, {}, {ETC: ()})
    plan = plan_removal([], state)
    assert len(plan.actions) == 6
    assert simulate_removal(state, plan).record.is_empty


def test_what_the_engine_names_is_told():
    path = f"{SERVER}/cert.pem"
    plan = plan_removal([], change(in_use={path: "/etc/docker/daemon.json as tlscert"}))
    (action,) = [
        action for action in plan.actions if isinstance(action, RemoveFiles) and action.directory == SERVER
    ]
    assert action.in_use == "/etc/docker/daemon.json as tlscert"
    assert [text for text in plan.texts() if "tlscert" in text]


@st.composite
def states(draw):
    """Hosts on which certificates were made at some of these places, and anybody has been since."""
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
def test_nothing_goes_that_was_not_made(state, limits):
    for action in plan_removal(limits, state).actions:
        if isinstance(action, RemoveDirectory):
            assert action.path in state.record.directories
        else:
            for name in action.names:
                digest = state.places[action.directory].digests[name]
                assert state.record.knows(action.directory, name, digest)


@given(states())
def test_directories_are_empty_when_their_turn_comes(state):
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
def test_whatever_stays_in_a_directory_of_ours_is_named(state):
    after = simulate_removal(state, plan_removal([], state))
    named = [f"{path}/" for path in find_kept([], state)]
    for path in after.record.directories:
        assert not after.contents.get(path) or any(place.startswith(f"{path}/") for place in named)
