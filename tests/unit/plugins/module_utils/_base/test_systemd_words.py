# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._base import systemd_words


@pytest.mark.parametrize(
    "value, words",
    [
        ("", []),
        ("a  b\tc", ["a", "b", "c"]),
        ('--l="a b" c"d e"f \'x y\'', ["--l=a b", "cd ef", "x y"]),
        ('a\\x20b \\s "q\\"r" \\q', ["a b", " ", 'q"r', "\\q"]),
        ("'it\"s' \"it's\"", ['it"s', "it's"]),
        ("\\u00e9\\101\\n", ["éA\n"]),
        ('""', [""]),
    ],
)
def test_a_value_is_divided_as_systemd_does(value, words):
    assert [word.text for word in systemd_words.split(value)] == words
    assert [word.text for word in systemd_words.split(systemd_words.render(words))] == words


def test_an_open_quote_makes_a_value_invalid():
    assert systemd_words.split('a "b') is None


ENVIRONMENT = {
    "OPTS": "-H fd:// 'a b'",
    "ONE": "x y",
    "EMPTY": "",
    "OPEN": "it's' \"a b",
    "ESCAPED": r"\y '\x41 z'",
}


@pytest.mark.parametrize(
    "word, words",
    [
        ("$OPTS", ["-H", "fd://", "a b"]),
        ("$EMPTY", []),
        ("$ESCAPED", ["y", "x41 z"]),
        ("$OPEN", ["its", "a b"]),
        ("$MISSING", []),
        ("${ONE}", ["x y"]),
        ("a${ONE}b${MISSING}", ["ax yb"]),
        ("a$ONE", ["a$ONE"]),
        ("$$ONE", ["$ONE"]),
        ("$ONE-x", []),
    ],
)
def test_variables_are_expanded_as_systemd_does(word, words):
    assert systemd_words.expand_variables(word, ENVIRONMENT) == words


def test_specifiers_that_only_the_host_knows_stay():
    text = systemd_words.expand_specifiers("%E/default/%p %n %N %% %H", "docker.service")
    assert text == "/etc/default/docker docker.service docker % %H"
    assert systemd_words.has_specifiers(text)
    assert not systemd_words.has_specifiers("100%")


def test_variables_of_a_unit_are_read():
    value = "A=1 'B=x y' C=%p \"D=\" broken 1E=2"
    assert systemd_words.parse_environment(value, "docker.service") == {
        "A": "1",
        "B": "x y",
        "C": "docker",
        "D": "",
    }


ENVIRONMENT_FILE = """\
# A=comment
; B=comment
A=-H fd:// \t\x20
B = "two words"
C='single $x \\y'
D="a \\"quoted\\" \\$x \\q"
E=first \\
  second
F="over
lines"
G=a\\ b
H=
export I=no
no assignment
A2=it's
J="x"y
"""


def test_an_environment_file_is_read():
    assert systemd_words.parse_environment_file(ENVIRONMENT_FILE) == {
        "A": "-H fd://",
        "B": "two words",
        "C": "single $x \\y",
        "D": 'a "quoted" $x \\q',
        "E": "first   second",
        "F": "over\nlines",
        "G": "a b",
        "H": "",
        "A2": "it's",
        "J": "xy",
    }
