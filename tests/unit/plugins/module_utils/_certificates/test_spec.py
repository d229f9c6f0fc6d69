# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import datetime

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import InvalidInput
from ansible_collections.wormhole.docker.plugins.module_utils._certificates import spec as spec_module
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.spec import parse_certificates

DAY = datetime.timedelta(days=1)


def option(**given):
    """An element of option certificates, with Ansible's types and defaults."""
    return {
        "name": "jenkins",
        "profile": "client",
        "state": "present",
        "directory": "/etc/wormhole/identities/jenkins",
        "common_name": None,
        "subject_alternative_names": [],
        "owner": None,
        "group": None,
        "directory_mode": "0755",
        "key_mode": "0400",
        "certificate_mode": "0444",
        "key_type": "ecdsa-p256",
        "validity_days": 365,
        "renew_before_days": None,
        **given,
    }


def test_defaults_give_a_client_named_like_its_entry():
    (spec,) = parse_certificates([option()])
    assert (spec.common_name, spec.present, spec.profile) == ("jenkins", True, "client")
    assert (spec.directory_mode, spec.key_mode, spec.certificate_mode) == (0o755, 0o400, 0o444)
    assert (spec.validity, spec.renew_before) == (365 * DAY, 365 * DAY / 3)
    assert spec.extended_key_usage == ("clientAuth",)
    assert spec.key_usage == ("digitalSignature",)


def test_rsa_keys_also_encipher():
    (spec,) = parse_certificates([option(key_type="rsa-3072")])
    assert spec.key_usage == ("digitalSignature", "keyEncipherment")


def test_names_are_sorted_unique_and_have_an_origin():
    names = [
        {"name": "IP:172.18.0.1", "origin": "gateway of network ci", "urgent": False},
        "IP:172.17.0.1",
        "DNS:LOCALHOST",
        "DNS:localhost",
        {"name": "DNS:localhost"},
    ]
    (spec,) = parse_certificates([option(profile="server", subject_alternative_names=names)])
    assert [str(name) for name in spec.subject_alternative_names] == [
        "DNS:localhost",
        "IP:172.17.0.1",
        "IP:172.18.0.1",
    ]
    assert {str(name): origin for name, origin in spec.origins.items()} == {
        "IP:172.18.0.1": "gateway of network ci"
    }
    assert [str(name) for name in spec.deferrable] == ["IP:172.18.0.1"]


def test_a_trailing_slash_of_a_directory_is_ignored():
    (spec,) = parse_certificates([option(directory="/etc/x/")])
    assert spec.directory == "/etc/x"


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"profile": "server"}, "at least one subject alternative name"),
        (
            {"profile": "server", "state": "absent", "subject_alternative_names": ["DNS:a"]},
            "state absent for a server",
        ),
        ({"subject_alternative_names": ["IP:172.17.0.1:2376"]}, "port"),
        ({"subject_alternative_names": [{"address": "IP:172.17.0.1"}]}, "dictionaries of name"),
        ({"subject_alternative_names": [{"name": "DNS:a", "why": "b"}]}, "dictionaries of name"),
        ({"subject_alternative_names": [17]}, "dictionaries of name"),
        ({"directory": "etc/wormhole"}, "absolute path"),
        ({"directory": "/"}, "absolute path"),
        ({"directory": "//"}, "absolute path"),
        ({"directory": "/etc/../srv"}, "absolute path"),
        ({"directory": ""}, "absolute path"),
        ({"directory": "/etc/wormhole/identities/.agent.pending"}, "pending key of another certificate"),
        ({"directory": "/etc/wormhole/identities/.agent.pending/"}, "pending key of another certificate"),
        ({"name": "x" * 65}, "64"),
        ({"common_name": "x" * 65}, "64"),
        ({"common_name": "a\nb"}, "printable"),
        ({"common_name": " a"}, "without spaces at the ends"),
        ({"name": ""}, "64"),
        ({"validity_days": 0}, "1 to 36500"),
        ({"validity_days": -1}, "1 to 36500"),
        ({"validity_days": 36501}, "1 to 36500"),
        ({"validity_days": 30, "renew_before_days": 30}, "less than validity_days"),
        ({"validity_days": 30, "renew_before_days": 31}, "less than validity_days"),
        ({"renew_before_days": 0}, "at least 1"),
        ({"key_mode": "0404"}, "without the bits"),
        ({"key_mode": "0420"}, "without the bits"),
        ({"key_mode": "0040"}, "owner can read"),
        ({"key_mode": "256"}, "in quotes"),
        ({"key_mode": "400"}, "in quotes"),
        ({"key_mode": "u=r"}, "in quotes"),
        ({"certificate_mode": "0446"}, "without the bits"),
        ({"directory_mode": "0777"}, "without the bits"),
    ],
)
def test_invalid_options_are_rejected_on_one_line(given, complaint):
    with pytest.raises(InvalidInput) as caught:
        parse_certificates([option(**given)])
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("other", "complaint"),
    [
        ({"directory": "/elsewhere"}, "'jenkins' twice"),
        ({"name": "other"}, "'/etc/wormhole/identities/jenkins' twice"),
        (
            {"name": "other", "directory": "/etc/wormhole/identities/jenkins/"},
            "'/etc/wormhole/identities/jenkins' twice",
        ),
    ],
)
def test_two_certificates_do_not_share_a_name_or_a_directory(other, complaint):
    with pytest.raises(InvalidInput) as caught:
        parse_certificates([option(), option(**other)])
    assert complaint in str(caught.value)


def test_one_day_of_validity_has_a_renewal_window_of_its_own():
    (spec,) = parse_certificates([option(validity_days=1)])
    assert datetime.timedelta(0) < spec.renew_before < spec.validity


def test_an_error_about_a_name_keeps_its_sentence(monkeypatch):
    def reject(text):
        raise InvalidInput("name", found=text, problem="name is no name", remedy="Change it")

    monkeypatch.setattr(spec_module, "parse_san", reject)
    with pytest.raises(InvalidInput) as caught:
        parse_certificates([option(name="ci", subject_alternative_names=["DNS:a"])])
    assert str(caught.value) == "certificate 'ci': name is no name. Change it"
    assert (caught.value.subject, caught.value.found) == ("certificate 'ci': name", "DNS:a")
