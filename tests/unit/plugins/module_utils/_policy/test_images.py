# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""References to images, and the patterns that select them."""

from __future__ import annotations

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._policy.images import (
    any_matches,
    compile_pattern,
    is_image_id,
    matches,
    parse_image,
)

DIGEST = "sha256:" + "ab" * 32


@pytest.mark.parametrize(
    "text, normal",
    [
        ("python", "docker.io/library/python:latest"),
        ("python:3.12", "docker.io/library/python:3.12"),
        ("acme/app", "docker.io/acme/app:latest"),
        ("docker.io/python", "docker.io/library/python:latest"),
        ("index.docker.io/acme/app", "docker.io/acme/app:latest"),
        ("docker.io/library/python", "docker.io/library/python:latest"),
        ("localhost/app", "localhost/app:latest"),
        ("registry:5000/a/b/c:1", "registry:5000/a/b/c:1"),
        ("Registry/app", "Registry/app:latest"),
        (f"python@{DIGEST}", f"docker.io/library/python@{DIGEST}"),
        (f"python:3@{DIGEST}", f"docker.io/library/python:3@{DIGEST}"),
    ],
)
def test_references_are_normalised(text, normal):
    assert str(parse_image(text)) == normal
    assert parse_image(normal) == parse_image(text)


@pytest.mark.parametrize(
    "text",
    ["", "Python", "a b", "a//b", "/a", "a/", "a:", "a:b:c", "a:-x", "a@sha256:12", "ab" * 32, DIGEST, "a..b", "a_/b", "-a/b", "x" * 300],
)  # fmt: skip
def test_what_is_no_reference(text):
    assert parse_image(text) is None


def test_ids():
    assert is_image_id(DIGEST)
    assert is_image_id("ab" * 32)
    assert not is_image_id("ab" * 31)


@pytest.mark.parametrize(
    "pattern, image",
    [
        ("python", "python:3.12"),
        ("python", f"python@{DIGEST}"),
        ("python:3.*", "python:3.12"),
        ("docker.io/library/*", "python"),
        ("acme/**", "acme/a/b:1"),
        ("registry:5000/*", "registry:5000/app"),
        ("ghcr.io/acme/*:v1", "ghcr.io/acme/app:v1"),
        ("**", "any.host/a/b:c"),
        (f"python@{DIGEST}", f"python@{DIGEST}"),
        (f"python:3@{DIGEST}", f"python:4@{DIGEST}"),
    ],
)
def test_patterns_select(pattern, image):
    assert matches(pattern, parse_image(image))


@pytest.mark.parametrize(
    "pattern, image",
    [
        ("python", "acme/python"),
        ("python", "evil.example/library/python"),
        ("python", "python2"),
        ("*", "acme/app"),
        ("acme/*", "acme/a/b"),
        ("acme/*", "acmeother/a"),
        ("python:3.*", "python:latest"),
        ("python:3.*", "python:4"),
        ("python:3", f"python:3@{DIGEST}"),
        ("python:3", f"python@{DIGEST}"),
        ("registry.lan/a", "registry-lan/a"),
        (f"python@{DIGEST}", "python"),
        (f"python@{DIGEST}", f"python@{DIGEST[:-1]}c"),
    ],
)
def test_patterns_do_not_select(pattern, image):
    assert not matches(pattern, parse_image(image))


@pytest.mark.parametrize("pattern", ["", "a b", "a:", "a@b", "a$", "(a|b)", "a?"])
def test_malformed_patterns(pattern):
    assert compile_pattern(pattern) is None
    assert not matches(pattern, parse_image("a"))


def test_nothing_matches_no_image():
    assert not any_matches(["**"], None)
