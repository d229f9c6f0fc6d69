# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tests of the host's record of certificates."""

from __future__ import annotations

from ansible_collections.wormhole.docker.plugins.module_utils._certificates.record import Record

PLACE = "/etc/wormhole/server"
OURS = Record(certificates={PLACE: {"ca.pem": ("1",), "cert.pem": ("2",), "key.pem": ("3",)}})
OF_OTHERS = {"ca.pem": "a", "cert.pem": "b", "key.pem": "c"}


def test_a_directory_stays_managed_when_a_key_is_made_although_its_files_were_replaced():
    assert OURS.with_files(PLACE, {}, OF_OTHERS) == OURS


def test_a_file_that_is_about_to_be_written_is_recorded_with_its_present_content_if_that_is_ours():
    written = {"cert.pem": "new"}
    assert OURS.with_files(PLACE, written, {"cert.pem": "2"}).certificates[PLACE]["cert.pem"] == ("2", "new")
    assert OURS.with_files(PLACE, written, OF_OTHERS).certificates[PLACE]["cert.pem"] == ("new",)


def test_a_new_directory_is_recorded_before_its_first_file():
    assert Record().with_files(PLACE, {}, {}).certificates == {PLACE: {}}
