# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import Refused
from ansible_collections.wormhole.docker.plugins.module_utils._listener.journal import (
    Journal,
    Origin,
    OriginEntry,
    SavedFile,
    parse_journal,
    parse_origin,
    render_journal,
    render_origin,
    updated_origin,
    with_directories,
)

PATH = "/etc/docker/daemon.json"
OURS = b"+ours"


def strip(path, content):
    """Our part is a word; a file that is nothing else is ours."""
    assert path == PATH
    return None if content == OURS else content.replace(OURS, b"")


def put(content):
    """What our transactions make of a content."""
    return (content or b"").replace(OURS, b"") + OURS


def restored_of(current, origin):
    """What an undo writes, as its callers decide: the original, or the content without our part."""
    entry = origin.files.get(PATH)
    if entry is not None and entry.written == (None if current is None else current.content):
        return entry.original
    content = None if current is None else strip(PATH, current.content)
    return None if content is None else dataclasses.replace(current, content=content)


def a_file(content, mode=0o644, mtime_ns=1):
    return SavedFile(content, mode, 7, 8, mtime_ns)


def transact(origin, before):
    after = a_file(put(before and before.content), mtime_ns=2)
    if before is not None and after.content == before.content:
        after = before
    return updated_origin(origin, PATH, before, after.content, strip), after


def edit(content):
    """An edit by others, with other metadata."""
    return a_file(content, 0o600, 3)


@pytest.mark.parametrize("original", [None, a_file(b""), a_file(b"theirs")])
def test_an_unchanged_file_is_restored_exactly_after_any_number_of_writes(original):
    origin, after = transact(Origin(), original)
    assert restored_of(after, origin) == original
    second = a_file(b"something else of ours", mtime_ns=5)
    origin = updated_origin(origin, PATH, after, second.content, strip)
    assert restored_of(second, origin) == original
    assert origin.files[PATH].written == second.content


def test_a_file_edited_since_is_stripped_of_our_part_only():
    origin, after = transact(Origin(), a_file(b"theirs"))
    now = edit(b"more " + after.content)
    assert restored_of(now, origin) == edit(b"more theirs")
    assert restored_of(edit(b"all theirs"), origin) == edit(b"all theirs")
    assert restored_of(edit(OURS), origin) is None


def test_an_edit_between_two_transactions_is_part_of_the_original():
    origin, after = transact(Origin(), a_file(b"theirs"))
    between = edit(b"more " + after.content)
    origin, after = transact(origin, between)
    assert restored_of(after, origin) == edit(b"more theirs")


def test_a_file_removed_by_others_stays_removed():
    origin, after = transact(Origin(), a_file(b"theirs"))
    assert restored_of(None, origin) is None
    origin, after = transact(origin, None)
    assert restored_of(after, origin) is None


def test_a_file_that_we_removed_is_restored_unless_another_exists():
    original = a_file(b"theirs")
    origin = updated_origin(Origin(), PATH, original, None, strip)
    assert origin.files[PATH].written is None
    assert restored_of(None, origin) == original
    assert restored_of(edit(b"another"), origin) == edit(b"another")


def test_an_installation_older_than_the_record_is_stripped():
    assert restored_of(edit(b"theirs+ours"), Origin()) == edit(b"theirs")
    assert restored_of(None, Origin()) is None
    origin, after = transact(Origin(), a_file(b"+ours of old+theirs"))
    assert restored_of(after, origin) == a_file(b" of old+theirs")


def test_a_path_that_did_not_change_is_not_recorded():
    assert updated_origin(Origin(), PATH, a_file(b"x"), b"x", strip) == Origin()
    assert updated_origin(Origin(), PATH, None, None, strip) == Origin()
    origin, after = transact(Origin(), a_file(b"theirs"))
    between = edit(b"more " + after.content)
    assert updated_origin(origin, PATH, between, between.content, strip) == origin


contents = st.none() | st.binary(max_size=6).filter(lambda content: OURS not in content)


@given(
    contents,
    st.lists(st.sampled_from(["transact", "edit", "remove", "replace"]), max_size=6),
    st.binary(max_size=3),
)
def test_an_undo_leaves_the_text_of_others_and_nothing_of_ours(original, events, text):
    origin, current = Origin(), None if original is None else a_file(original)
    theirs = original
    touched = False
    for event in events:
        if event == "transact":
            origin, current = transact(origin, current)
            continue
        touched = True
        if event == "edit" and current is not None:
            current, theirs = edit(text + current.content), text + (theirs or b"")
        elif event == "replace":
            current, theirs = edit(text), text
        elif event == "remove":
            current, theirs = None, None
    back = restored_of(current, origin)
    assert (b"" if back is None else back.content) == (theirs or b"")
    if not touched:
        assert back == (None if original is None else a_file(original))


files = st.builds(
    SavedFile,
    st.binary(max_size=8),
    st.integers(0, 0o7777),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1),
    st.integers(-(2**62), 2**62),
)
paths = st.text(max_size=8)
directories = st.lists(paths, max_size=3, unique=True).map(tuple)


@given(
    st.builds(
        Origin,
        st.dictionaries(paths, st.builds(OriginEntry, st.none() | files, st.none() | st.binary(max_size=4))),
        directories,
    )
)
def test_an_origin_survives_its_text(origin):
    assert parse_origin(render_origin(origin), PATH) == origin


@given(
    st.builds(
        Journal,
        st.dictionaries(paths, st.none() | files),
        st.dictionaries(paths, st.booleans() | st.lists(paths)),
        directories,
        st.none() | files,
    )
)
def test_a_journal_survives_its_text(journal):
    assert parse_journal(render_journal(journal), PATH) == journal


BROKEN = [
    "",
    "[]",
    "{}",
    "null",
    '{"version": "x"}',
    '{"version": 1}',
    '{"version": 1, "files": [], "directories": []}',
    '{"version": 1, "files": {"/a": 3}, "directories": [], "notes": {}, "origin": null}',
    '{"version": 1, "files": {"/a": {"content": "?", "former": {}}}, "directories": [], "notes": {}, "origin": null}',
]


@pytest.mark.parametrize("parse", [parse_origin, parse_journal])
@pytest.mark.parametrize("text", BROKEN)
def test_a_damaged_record_is_rejected_with_its_path_and_a_remedy(parse, text):
    with pytest.raises(Refused, match="x.json is damaged") as caught:
        parse(text, "/var/lib/x.json")
    assert caught.value.subject == "/var/lib/x.json"
    assert "remove it" in caught.value.remedy.lower()


@pytest.mark.parametrize(
    "parse, text", [(parse_origin, render_origin(Origin())), (parse_journal, render_journal(Journal({})))]
)
def test_a_newer_record_is_rejected_with_a_remedy(parse, text):
    newer = json.dumps({**json.loads(text), "version": 2})
    with pytest.raises(Refused, match="a record of version 2.*Run the release that wrote it") as caught:
        parse(newer, "/var/lib/x.json")
    assert caught.value.subject == "/var/lib/x.json"


def test_directories_are_recorded_once_the_highest_first():
    origin = with_directories(with_directories(Origin(), ("/a/b",)), ("/a/b", "/a"))
    assert origin.directories == ("/a", "/a/b")
