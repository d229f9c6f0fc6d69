# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import Refused
from ansible_collections.wormhole.docker.plugins.module_utils._engine.daemon_json import (
    edit_keys,
    parse_config,
)


def add_keys(text, keys):
    """Appends the keys that are missing; existing ones keep their value."""
    present = parse_config(text)
    return edit_keys(text, {key: value for key, value in keys.items() if key not in present})


@pytest.mark.parametrize(
    "text, expected",
    [
        ("", '{\n  "tls": true\n}\n'),
        (" \n", '{\n  "tls": true\n}\n'),
        ("{}", '{\n  "tls": true\n}'),
        ("{ }\n", '{\n  "tls": true\n}\n'),
        ('{"a": 1}', '{"a": 1,\n  "tls": true\n}'),
        ('{\n    "a": 1\n}\n', '{\n    "a": 1,\n    "tls": true\n}\n'),
        (
            '{\n\t"b": {"c": [1.50, 1e3]},\n\t"a": 1\n}',
            '{\n\t"b": {"c": [1.50, 1e3]},\n\t"a": 1,\n\t"tls": true\n}',
        ),
        ('{"tls": false}', '{"tls": false}'),
    ],
)
def test_keys_are_appended_and_every_other_byte_stays(text, expected):
    assert add_keys(text, {"tls": True}) == expected


@pytest.mark.parametrize(
    "text, keys, remove, expected",
    [
        # Another value takes the former one's place; an equal one keeps its text.
        ('{"a": 1, "b": [1 ,2], "c": 3}', {"b": [2], "a": 1}, [], '{"a": 1, "b": [2], "c": 3}'),
        ('{"b":  [1 ,2] }', {"b": [1, 2]}, [], '{"b":  [1 ,2] }'),
        ('{"b": {"x": 1, "y": 2}}', {"b": {"y": 2, "x": 1}}, [], '{"b": {"x": 1, "y": 2}}'),
        ('{"tls": 1}', {"tls": True}, [], '{"tls": true}'),
        ('{"tls": true}', {"tls": 1}, [], '{"tls": 1}'),
        ('{"a": {\n  "tls": 1\n}}', {"tls": 2}, [], '{"a": {\n  "tls": 1\n},\n  "tls": 2}'),
        ('{"\\u0061": 1, "b": "}"}', {"a": 2}, [], '{"\\u0061": 2, "b": "}"}'),
        # Removed: first, middle, last, some, all.
        ('{"a": 1, "b": 2, "c": 3}', {}, ["a"], '{"b": 2, "c": 3}'),
        ('{"a": 1, "b": 2, "c": 3}', {}, ["b"], '{"a": 1, "c": 3}'),
        ('{"a": 1, "b": 2, "c": 3}', {}, ["c"], '{"a": 1, "b": 2}'),
        ('{"a":1,"b":2,"c":3}\n', {}, ["a", "b"], '{"c":3}\n'),
        ('{ "a": 1, "b": 2 }', {}, ["b"], '{ "a": 1 }'),
        ('{ "a": 1, "b": 2 }', {}, ["a", "b"], "{}"),
        ('{\n  "a": 1,\n  "b": 2,\n  "c": 3\n}\n', {}, ["a"], '{\n  "b": 2,\n  "c": 3\n}\n'),
        ('{\n  "a": 1,\n  "b": 2,\n  "c": 3\n}\n', {}, ["b"], '{\n  "a": 1,\n  "c": 3\n}\n'),
        ('{\n  "a": 1,\n  "b": 2,\n  "c": 3\n}\n', {}, ["c"], '{\n  "a": 1,\n  "b": 2\n}\n'),
        ('{\n  "a": 1,\n  "b": 2,\n  "c": 3\n}\n', {}, ["c", "a"], '{\n  "b": 2\n}\n'),
        ('{\n  "a": 1,\n  "b": 2\n}\n\n', {}, ["a", "b"], "{}\n\n"),
        ('{\r\n\t"a": 1,\r\n\t"b": 2\r\n}\r\n', {}, ["b"], '{\r\n\t"a": 1\r\n}\r\n'),
        ('{\n  "a": 1\n, "b": 2\n, "c": 3\n}', {}, ["b"], '{\n  "a": 1\n, "c": 3\n}'),
        ('{"a": 1,\n  "b": 2\n}', {}, ["b"], '{"a": 1}'),
        ('{"s": "},\\"{[", "b": {"b": 1}, "c": "\\\\"}', {}, ["b"], '{"s": "},\\"{[", "c": "\\\\"}'),
        ('{"b": {"b": 1}, "c": {"b": 2}}', {}, ["b", "x"], '{"c": {"b": 2}}'),
        (' \n{"a": 1}\n', {}, ["a"], " \n{}\n"),
        ("", {}, ["a"], ""),
        # Appended, in the file's own hand.
        ('{\r\n\t"a": 1\r\n}', {"b": 2}, [], '{\r\n\t"a": 1,\r\n\t"b": 2\r\n}'),
        ('{\n    "a": 1}', {"b": 2, "c": []}, [], '{\n    "a": 1,\n    "b": 2,\n    "c": []}'),
        (
            '{\n   "a": {\n     "x": 1\n}\n\n}\n',
            {"b": 2},
            [],
            '{\n   "a": {\n     "x": 1\n},\n   "b": 2\n\n}\n',
        ),
        # The example in the docstring.
        (
            '{\n    "hosts": ["fd://"],\n    "debug": true,\n    "data-root": "/srv"\n}\n',
            {"debug": False, "tls": True},
            ["hosts"],
            '{\n    "debug": false,\n    "data-root": "/srv",\n    "tls": true\n}\n',
        ),
        # All at once; what is to be removed and to be set is set.
        ('{"a": 1, "b": 2, "c": 3}', {"c": 4, "d": 5}, ["a", "c"], '{"b": 2, "c": 4,\n  "d": 5\n}'),
        ('{\n\t"a": 1\n}\n', {"b": 2}, ["a"], '{\n\t"b": 2\n}\n'),
    ],
)
def test_only_the_bytes_that_are_concerned_change(text, keys, remove, expected):
    assert edit_keys(text, keys, remove) == expected


@pytest.mark.parametrize(
    "text, found",
    [
        ("{", "broken JSON"),
        ('{"a": 1,}', "broken JSON"),
        ("[]", "a JSON list"),
        ("\ufeff{}", "a byte order mark"),
        ('{"a": 1, "a": 2}', "'a' twice"),
        ('{"a": {"b": 1, "b": 2}}', "'b' twice"),
    ],
)
def test_what_dockerd_would_stumble_over_is_refused_with_what_to_do(text, found):
    with pytest.raises(Refused, match=found) as caught:
        parse_config(text, "/etc/docker/daemon.json")
    assert caught.value.subject == "/etc/docker/daemon.json"
    assert "the file" in caught.value.remedy


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
configs = st.dictionaries(st.text(max_size=6), values, max_size=5)


@given(configs, configs, st.sampled_from([None, 2, 4, "\t"]), st.sampled_from(["", "\n", "\n\n"]))
def test_no_foreign_key_is_lost_or_changed_and_the_order_stays(config, keys, indent, ending):
    text = json.dumps(config, indent=indent) + ending
    result = add_keys(text, keys)
    assert json.loads(result) == {**keys, **config}
    assert list(json.loads(result))[: len(config)] == list(config)
    assert result.endswith(ending)
    assert add_keys(result, keys) == result


@st.composite
def texts(draw):
    """JSON objects as hands and programs write them."""
    config = draw(configs)
    style = draw(st.sampled_from(["one line", "compact", "lines", "loose", "blank"]))
    if style == "blank":
        return draw(st.sampled_from(["", "\n", " ", "{ }", "{\n}\n"]))
    if style == "loose":
        space = st.text(" \t\n", max_size=2)
        members = [
            f"{draw(space)}{json.dumps(key)}{draw(space)}:{draw(space)}{json.dumps(value, indent=draw(indents))}{draw(space)}"
            for key, value in config.items()
        ]
        text = "{" + ",".join(members) + "}"
    elif style == "compact":
        text = json.dumps(config, separators=(",", ":"))
    else:
        text = json.dumps(
            config, indent=draw(indents) if style == "lines" else None, ensure_ascii=draw(st.booleans())
        )
    text = draw(st.sampled_from(["", "\n", " "])) + text + draw(st.sampled_from(["", "\n", "\n\n"]))
    return text.replace("\n", "\r\n") if draw(st.booleans()) else text


indents = st.sampled_from([0, 2, 4, "\t"])


@given(texts(), configs, st.lists(st.text(max_size=6), max_size=2), st.data())
def test_what_is_edited_reads_as_the_edited_object_in_its_order(text, keys, others, data):
    former = parse_config(text)
    remove = data.draw(st.lists(st.sampled_from(sorted(former)), unique=True)) if former else []
    keys = {**keys, **{key: data.draw(values) for key in former if data.draw(st.booleans())}}
    result = edit_keys(text, keys, [*remove, *others])
    gone = {*remove, *others} - set(keys)
    expected = {**{key: value for key, value in former.items() if key not in gone}, **keys}
    assert json.dumps(parse_config(result)) == json.dumps(expected)
    assert edit_keys(result, keys, [*remove, *others]) == result
    assert edit_keys(text, former) == text


@given(texts(), configs)
@example('{\n  "a": 1}', {"b": 1})
@example('{ "a": [] }', {"b": 1, "c": 2})
@example('{"a": 1,\r\n"x": 1\r\n\r\n}', {"b": 1, "c": 2})
def test_what_was_appended_can_be_removed_without_a_trace(text, keys):
    former = parse_config(text)
    new = {key: value for key, value in keys.items() if key not in former}
    result = edit_keys(edit_keys(text, new), {}, new)
    body = text.strip()
    if not former:
        exact = body == "{}"
    else:
        inner = body[1:-1]
        opening, tail = inner[: len(inner) - len(inner.lstrip())], inner[len(inner.rstrip()) :]
        exact = "\n" in inner.rstrip() or opening == tail
    if exact or not new:
        assert result == text
    else:
        assert "".join(result.split()) == ("".join(text.split()) or "{}")
