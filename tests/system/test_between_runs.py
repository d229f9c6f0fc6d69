# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a host reports between runs, without a controller, with the module examples' timer."""

from __future__ import annotations

import datetime
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from certificates import DAY, IDENTITIES, SERVER, read_certificate, reissue
from hosts import GATEWAY, RESTART, WORMHOLE, engine, inside
from lab.spec import RELEASES
from local_ansible import copy, install_ansible

SERVICE = "wormhole-check.service"
FAR = 60 * DAY


@pytest.fixture
def host(release, fresh_host, playbook, collections, tmp_path):
    """Return a host with a listener, ansible-core, the collection, and its example timer."""
    host = fresh_host(release)
    playbook("provision", host)
    install_ansible(host)
    copy(host, collections, ["ansible_collections/wormhole"], "/usr/share/ansible/collections")
    module = collections / "ansible_collections/wormhole/docker/plugins/modules/endpoint_info.py"
    examples = yaml.safe_load(module.read_text().split('EXAMPLES = r"""')[1].split('"""')[0])
    play = tmp_path / "timer.yml"
    play.write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "tasks": examples[-2:]}]))
    playbook(str(play), host)
    assert host.run("systemctl is-active wormhole-check.timer").stdout == "active\n"
    return host


@dataclass(frozen=True)
class Check:
    """Return whether the service failed, the module's result, and the journal."""

    failed: bool
    result: dict[str, Any]
    journal: str

    def layer(self, name: str) -> dict[str, Any]:
        return next(layer for layer in self.result["layers"] if layer["name"] == name)


def check(host: Any) -> Check:
    """Run the timer's service."""
    status = host.run(f"systemctl start {SERVICE}", check=False).returncode
    shown = host.run(f"systemctl list-units --failed --plain --no-legend {SERVICE}").stdout
    assert bool(status) == (SERVICE in shown)
    run = host.run(f"systemctl show -P InvocationID {SERVICE}").stdout.strip()
    journal = host.run(f"journalctl --sync; journalctl -q -o cat _SYSTEMD_INVOCATION_ID={run}").stdout
    print(journal)
    # localhost | SUCCESS => { … }
    start = journal.index("=> {") + 3
    result, _end = json.JSONDecoder().raw_decode(journal[start:])
    host.run(f"systemctl reset-failed {SERVICE}", check=False)
    return Check(bool(status), result, journal)


@pytest.mark.parametrize("release", RELEASES)
def test_a_new_network_is_reported_until_the_engine_has_its_name(host, playbook):
    first = check(host)
    assert not first.failed
    assert (first.result["ok"], first.result["loaded"], first.result["missing_names"]) == (True, True, [])
    assert not [layer for layer in first.result["layers"] if layer["remedy"]]

    gateway = add_network(host, "ci")
    added = check(host)
    assert not added.failed
    assert added.result["missing_names"] == [
        {"name": f"IP:{gateway}", "origin": "gateway of network ci", "urgent": False}
    ]
    assert f"their containers reach the engine at {GATEWAY}" in added.layer("networks")["text"]
    assert "wormhole.docker.provision" in added.layer("networks")["remedy"]
    assert "What to do soon" in added.result["text"]

    # Installed, but the engine is not restarted.
    running = engine(host)
    playbook("provision", host)
    assert engine(host) == running
    issued = check(host)
    assert not issued.failed
    assert issued.result["loaded"] is False
    assert issued.result["missing_names"] == added.result["missing_names"]
    assert [issued.layer(name)["remedy"] for name in ("networks", "installed")] == ["", ""]

    host.run(RESTART)
    loaded = check(host)
    assert (loaded.failed, loaded.result["loaded"], loaded.result["missing_names"]) == (False, True, [])

    host.run("echo '{}' >/etc/docker/daemon.json")
    host.run(RESTART)
    closed = check(host)
    assert closed.failed
    assert "/etc/docker/daemon.json does not set tlsverify to true" in closed.result["msg"]
    assert "wormhole.docker.provision" in closed.result["error"]["remedy"]
    playbook("provision", host)
    assert not check(host).failed


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize(
    ("ends", "failed", "words"),
    [(20 * DAY, False, "due for renewal since"), (-DAY, True, "the certificate expired on")],
)
def test_due_dates_are_reported_until_the_engine_has_a_new_certificate(
    host, playbook, own_ca, ends, failed, words
):
    reissue(host, SERVER, own_ca(host), begins=-FAR, ends=ends)
    host.run(RESTART)
    told = check(host)
    assert told.failed is failed
    assert words in (told.result["msg"] if failed else told.layer("validity")["text"])
    assert "wormhole.docker." in (told.result["error"] if failed else told.layer("validity"))["remedy"]

    playbook("provision", host)
    mended = check(host)
    assert (mended.failed, mended.result["loaded"]) == (False, True)
    assert not [layer for layer in mended.result["layers"] if layer["remedy"]]


@pytest.mark.parametrize("release", RELEASES)
def test_a_renewed_certificate_that_is_not_loaded_is_reported(host, playbook, own_ca):
    reissue(host, SERVER, own_ca(host), begins=-FAR, ends=20 * DAY)
    host.run(RESTART)
    reissue(host, SERVER, own_ca(host), begins=-datetime.timedelta(hours=1), ends=90 * DAY)
    told = check(host)
    assert (told.failed, told.result["loaded"]) == (False, False)
    assert told.result["certificate"]["renewal_due"]
    assert not told.result["installed_certificate"]["renewal_due"]
    assert "restarts the engine once" in told.layer("installed")["remedy"]

    running = engine(host)
    playbook("provision", host)
    assert engine(host) != running
    assert check(host).result["loaded"]


@pytest.mark.parametrize("release", RELEASES)
def test_the_address_of_docker0_after_the_next_start_is_urgent(host):
    """Every container of the default bridge will depend on this network.

    Containers of another network have a choice.
    """
    add_network(host, "ci")
    configuration = json.loads(host.read("/etc/docker/daemon.json"))
    host.write("/etc/docker/daemon.json", json.dumps({**configuration, "bip": "172.29.0.1/16"}))
    told = check(host)
    assert told.failed
    assert told.result["error"]["subject"].endswith("layer networks")
    assert "lacks IP:172.29.0.1 (bip of /etc/docker/daemon.json)" in told.result["msg"]


@pytest.mark.parametrize("release", RELEASES)
def test_short_lifetimes_are_renewed_by_the_documented_timer(release, fresh_host, collections, tmp_path):
    """The host is its own controller. Its check reports the identity until the timer has run."""
    host = fresh_host(release)
    install_ansible(host)
    copy(host, collections, ["ansible_collections/wormhole"], "/usr/share/ansible/collections")
    agent = {**WORMHOLE, "identity_validity_days": 6}
    variables = {"wormholes_containers": [agent], "ansible_connection": "local"}
    host.write("/etc/ansible/hosts.yml", yaml.safe_dump({"all": {"hosts": {"localhost": variables}}}))
    for name in ("provision", "launch"):
        host.run(f"ansible-playbook -i /etc/ansible/hosts.yml wormhole.docker.{name}")
    page = (Path(__file__).resolve().parents[2] / "docs/stolen-keys.md").read_text(encoding="utf-8")
    service, timer = re.findall(r"^```ini\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    host.write("/etc/systemd/system/wormhole-launch.service", service)
    host.write("/etc/systemd/system/wormhole-launch.timer", timer)
    host.run("systemctl daemon-reload && systemctl enable --now wormhole-launch.timer")
    assert host.run("systemctl is-active wormhole-launch.timer").stdout == "active\n"

    authority = "/root/.wormhole/ca/hosts/localhost"
    for name in ("ca.key", "ca.pem"):
        (tmp_path / name).write_text(host.read(f"{authority}/{name}"))
    place = f"{IDENTITIES}/agent"
    reissue(host, place, tmp_path, begins=-5 * DAY, ends=DAY)
    asked = f"ansible localhost --connection local -m wormhole.docker.endpoint_info -a 'address={GATEWAY} directory={place}'"
    told = host.run(asked).stdout
    assert "due for renewal since" in told
    assert "wormhole.docker.launch" in told

    running = engine(host)
    host.run("systemctl start wormhole-launch.service")
    left = read_certificate(host, place).not_valid_after_utc - datetime.datetime.now(datetime.UTC)
    assert 5 * DAY < left <= 6 * DAY
    assert "due for renewal since" not in host.run(asked).stdout
    assert engine(host) == running
    assert inside(host, "docker version --format '{{.Server.Os}}'").stdout.strip() == "linux"
    events = [json.loads(line) for line in host.read(f"{authority}/issued.jsonl").splitlines()]
    assert [event.get("common_name") for event in events].count("agent") == 2


def add_network(host: Any, name: str) -> str:
    """Create a network; return its gateway."""
    host.run(f"docker network create {name}")
    return str(
        host.run(f"docker network inspect {name} -f '{{{{(index .IPAM.Config 0).Gateway}}}}'").stdout.strip()
    )
