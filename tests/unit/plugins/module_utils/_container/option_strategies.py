# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Strategies for container options. The contract cannot have them: it runs without Hypothesis."""

from __future__ import annotations

from hypothesis import strategies as st

from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._engine.io.contract import (
    CONTRADICTORY,
    OPTION_VALUES,
)


def some_options(*left_out):
    """Return a strategy for several options at once, as parameters of the module."""
    names = sorted(set(OPTION_VALUES) - {"network_mode", "etc_hosts", *CONTRADICTORY, *left_out})
    chosen = st.dictionaries(st.sampled_from(names), st.integers(0, 1), max_size=6)
    return chosen.map(lambda which: {name: OPTION_VALUES[name][index] for name, index in which.items()})
