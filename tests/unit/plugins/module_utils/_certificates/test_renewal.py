# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.wormhole.docker.plugins.module_utils._certificates.facts import (
    default_renewal_time,
    default_renewal_window,
    is_default_renewal_due,
)
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._certificates.facts import (
    DAY,
    NOW,
    make_facts,
)

SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("age", "validity", "due"),
    [
        (0, 90, False),
        (59, 90, False),
        (60, 90, True),
        (89, 90, True),
        (90, 90, True),
        (91, 90, True),
        (-1, 90, False),
        (0, 1, False),
        (243, 365, False),
        (244, 365, True),
    ],
)
def test_renewal_is_due_in_the_last_third_of_the_validity_and_later(age, validity, due):
    assert is_default_renewal_due(make_facts(age=age, validity=validity), NOW) is due


@given(st.integers(1, 36500), st.integers(-36500, 36500))
def test_the_renewal_time_is_within_the_validity(validity, age):
    certificate = make_facts(age=age, validity=validity)
    moment = default_renewal_time(certificate)
    assert certificate.not_before < moment < certificate.not_after
    assert certificate.not_after - moment == default_renewal_window(validity * DAY)
    assert is_default_renewal_due(certificate, moment)
    assert not is_default_renewal_due(certificate, moment - SECOND)
