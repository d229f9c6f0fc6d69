# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lookup's options and errors; the search itself is tested in _client/io/test_finder.py."""

from __future__ import annotations

import pytest
import yaml
from ansible.errors import AnsibleLookupError

from ansible_collections.wormhole.docker.plugins.lookup import docker_host
from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import EngineUnavailable
from ansible_collections.wormhole.docker.plugins.module_utils._client.search import Candidate

DEFAULTS = {
    name: option.get("default")
    for name, option in yaml.safe_load(docker_host.DOCUMENTATION)["options"].items()
}
TLS = Candidate("", address="172.17.0.1", port=2376, directory="/certs")


@pytest.fixture
def lookup(monkeypatch):
    def run(answer=TLS, *terms, **options):
        asked = {}

        def find(environment, **arguments):
            asked.update(arguments)
            if isinstance(answer, Exception):
                raise answer
            return answer

        monkeypatch.setattr(docker_host, "find_engine", find)
        plugin = docker_host.LookupModule()
        # Ansible's loader reads them from the documentation, which is not part of a unit test.
        monkeypatch.setattr(plugin, "set_options", lambda **_given: None)
        monkeypatch.setattr(plugin, "get_option", {**DEFAULTS, **options}.__getitem__)
        return plugin.run(list(terms), {}, **options), asked

    return run


def test_the_address_alone_is_the_default(lookup):
    result, asked = lookup()
    assert result == ["tcp://172.17.0.1:2376"]
    assert asked == {"certificate_path": "", "port": 2376, "insecure_plaintext_port": None, "timeout": 3.0}


def test_options_of_community_docker_on_request(lookup):
    result, asked = lookup(TLS, connection=True, port=12376, certificate_path="/mine")
    assert result[0]["ca_path"] == "/certs/ca.pem"
    assert (asked["port"], asked["certificate_path"]) == (12376, "/mine")


def test_errors_are_lookup_errors(lookup):
    with pytest.raises(AnsibleLookupError, match="wormhole.docker.docker_host: nowhere"):
        lookup(EngineUnavailable("nowhere"))
    with pytest.raises(AnsibleLookupError, match="takes no terms"):
        lookup(TLS, "tcp://172.17.0.1")
