# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How packages are installed; a system test installs real ones."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import types
from importlib import metadata
from pathlib import Path

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import ApplyFailed
from ansible_collections.wormhole.docker.plugins.module_utils._engine.io import packages, requirements
from ansible_collections.wormhole.docker.plugins.module_utils._glue import host


class Apt:
    """Stands for apt-get: records how it was run, and answers with an exit status."""

    def __init__(self):
        self.runs, self.environment, self.status = [], {}, 0

    def __call__(self, argv, timeout, *, environment):
        assert argv[0] == "apt-get"
        self.runs.append(list(argv[1:]))
        self.environment = environment
        return subprocess.CompletedProcess(argv, self.status, "", "E: Unable to locate package x")


@pytest.fixture
def apt(monkeypatch, tmp_path):
    apt = Apt()
    monkeypatch.setattr(packages, "run", apt)
    monkeypatch.setattr(packages, "_LISTS", str(tmp_path))
    return apt


def test_no_package_is_removed_and_no_question_asked(apt):
    packages.install(["docker.io", "python3-docker"])
    update, install = apt.runs
    assert update[-1] == "update"
    assert install[-3:] == ["install", "docker.io", "python3-docker"]
    assert {"--yes", "--no-remove", "--option=Dpkg::Options::=--force-confold"} <= set(install)
    assert apt.environment["DEBIAN_FRONTEND"] == "noninteractive"


@pytest.mark.parametrize(("age", "updates"), [(60, False), (4000, True)])
def test_package_lists_are_downloaded_if_they_are_old(apt, tmp_path, age, updates):
    (tmp_path / "deb_debian_dists_trixie_main_binary-amd64_Packages").touch()
    os.utime(tmp_path, (time.time() - age,) * 2)
    packages.install(["docker.io"])
    assert (apt.runs[0][-1] == "update") == updates
    assert len(apt.runs) == 1 + updates


def test_a_failure_names_the_packages_and_what_apt_says(apt):
    apt.status = 100
    with pytest.raises(ApplyFailed, match=r"packages docker.io, x cannot be installed: E: Unable to locate"):
        packages.install(["docker.io", "x"])


def test_what_was_missing_can_be_imported_afterwards(apt, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "user_of_library.py").write_text(
        "try:\n    import new_library\n    ERROR = ''\nexcept ImportError as error:\n    ERROR = str(error)\n"
    )
    library = __import__("user_of_library")
    assert "new_library" in library.ERROR
    (tmp_path / "new_library.py").write_text("")
    packages.install(["python3-new"], [library])
    assert library.ERROR == ""
    assert isinstance(sys.modules["new_library"], types.ModuleType)


def test_all_files_are_known_that_go_on_without_a_library():
    base = Path(host.__file__).parents[1]
    found = {
        path
        for path in base.rglob("*.py")
        if re.search(r"^(try:|with .*ImportError)", path.read_text(), re.M)
    }
    assert {Path(library.__file__) for library in host.LIBRARIES} == found
    # Another copy of a class would not be equal to the first one.
    assert not [path for path in found if re.search(r"^class ", path.read_text(), re.M)]


def test_a_library_without_a_version_is_missing(monkeypatch):
    monkeypatch.setattr(metadata, "version", lambda name: None)
    monkeypatch.setattr(requirements, "observe_engines", lambda: (False, (), None))
    assert requirements.observe_host().libraries == {}
