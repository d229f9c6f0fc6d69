# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The listener's transaction with real files, and a systemd and an engine that fail on demand."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import signal
from typing import ClassVar

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._base import systemd_units
from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import (
    ApplyFailed,
    EngineUnavailable,
    Refused,
    VerificationFailed,
)
from ansible_collections.wormhole.docker.plugins.module_utils._engine import daemon_json
from ansible_collections.wormhole.docker.plugins.module_utils._firewall.model import FirewallState
from ansible_collections.wormhole.docker.plugins.module_utils._listener import guard
from ansible_collections.wormhole.docker.plugins.module_utils._listener import units as listener_units
from ansible_collections.wormhole.docker.plugins.module_utils._listener.io import (
    admission,
    interruption,
    rollback,
)
from ansible_collections.wormhole.docker.plugins.module_utils._listener.io import change as listener_host
from ansible_collections.wormhole.docker.plugins.module_utils._listener.io import (
    containers as listener_containers,
)
from ansible_collections.wormhole.docker.plugins.module_utils._listener.io import (
    units as host_units,
)
from ansible_collections.wormhole.docker.plugins.module_utils._listener.io.change import ListenerHost
from ansible_collections.wormhole.docker.plugins.module_utils._listener.io.transaction import (
    Transaction,
    read_saved,
)
from ansible_collections.wormhole.docker.plugins.module_utils._listener.model import (
    SERVED_OUTDATED,
    Admission,
    WriteUnits,
)
from ansible_collections.wormhole.docker.plugins.module_utils._listener.spec import ListenerSpec
from ansible_collections.wormhole.docker.plugins.module_utils._listener.units import UNIX_UNIT, wants_links
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._engine.io.fake import (
    IMAGE,
    FakeEngine,
)
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._listener.facts import (
    ADDED_STREAM,
    UNIT,
    VIRGIN,
    names,
    opening,
    planned,
    with_config,
    with_firewall,
)
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._listener.simulation import (
    simulate_listener,
)

FAILURE = EngineUnavailable("docker.service", expected="to start", found="a failure of this test")
SPEC = ListenerSpec(transports=("tls", "unix"), insecure_plaintext_port=2375, live_restore=True)
MINIMAL = ListenerSpec()
ABSENT = dataclasses.replace(SPEC, state="absent")
FORMER = b'{"debug":   true}'


class Engine(FakeEngine):
    """An engine that stops its containers when it is restarted, unless live-restore is on."""

    live_restore = False
    down = False
    statuses: ClassVar = {"job": 137}
    """Exit statuses of containers that do not end with 0."""

    def info(self):
        if self.down:
            raise FAILURE
        return {**super().info(), "LiveRestoreEnabled": self.live_restore}

    def find_container(self, container):
        found = super().find_container(container)
        if found is not None:
            found["State"]["ExitCode"] = self.statuses.get(container, 0)
        return found


class Bench:
    """A host: each step of a change is an event, and event number ``fails_at`` fails."""

    def __init__(self, root, monkeypatch):
        self.root = root
        self.engine = Engine()
        self.state = with_firewall(VIRGIN, needed=[opening()])
        self.events = []
        self.fails_at = None
        self.failure = FAILURE
        self.hook = None
        self.moved = False
        self.opened = ()
        self.restriction = None
        self.units = root / "units"
        self.units.mkdir()
        self.config = root / "daemon.json"
        self.transaction = functools.partial(Transaction, str(root / "lib"))
        for target, name, value in (
            (listener_units, "UNIT_DIRECTORY", str(self.units)),
            (systemd_units, "UNIT_DIRECTORY", str(self.units)),
            (rollback, "UNIT_DIRECTORY", str(self.units)),
            (daemon_json, "PATH", str(self.config)),
            (listener_host, "Transaction", self.transaction),
            *((module, "systemd", self) for module in (listener_host, rollback, host_units)),
            (listener_host, "observe_listener", self._observe),
            (
                listener_host,
                "check_material",
                lambda directory, addresses: self.event("material", *addresses),
            ),
            (listener_host, "check_gate", lambda directory: self.event("gate", directory)),
            (listener_host, "validate_config", lambda text, command: self.event("validate")),
            (listener_host, "observe_firewall", self.firewall_after_restart),
            *((module, "set_openings", self.set_openings) for module in (listener_host, rollback)),
            (guard, "PROGRAM", str(root / "guard")),
            (guard, "REASON", str(root / "closed")),
            (listener_host, "verify_guard", lambda spec: self.event("guard")),
            (listener_host, "verify_unix_socket", lambda path: self.event("prove", path)),
            (
                listener_host.ListenerProbe,
                "verify",
                lambda _self, address, *_rest: self.event("prove", address),
            ),
            (listener_containers, "_INTERRUPTED", str(root / "interrupted")),
            (interruption, "_is_abandoned", lambda: False),
            (rollback.time, "sleep", lambda _seconds: None),
            (os, "fsync", lambda _handle: None),
            # Tests need not be root.
            (os, "fchown", lambda *_arguments: None),
            (os, "chown", lambda *_arguments, **_options: None),
        ):
            monkeypatch.setattr(target, name, value)

    def firewall_after_restart(self, desired):
        needed = () if self.moved else tuple(o for o in desired if o in self.state.firewall.needed)
        return FirewallState("nftables", needed, self.opened, restriction=self.restriction)

    def event(self, *event):
        self.events.append(event)
        if self.hook:
            self.hook(event)
        if len(self.events) == self.fails_at:
            raise self.failure  # pylint: disable=raising-bad-type

    # systemd

    def daemon_reload(self):
        self.event("daemon-reload")

    def enable(self, *units):
        for link in (link for unit in units for link in wants_links(unit)):
            os.makedirs(os.path.dirname(link), exist_ok=True)
            if not os.path.lexists(link):
                os.symlink("/x", link)
        self.event("enable", *units)

    def stop(self, *units):
        if units:
            self.event("stop", *units)

    def restart_units(self, *units):
        if units:
            self.event("restart", *units)

    def reload(self, unit):
        self.event("reload", unit)
        # As dockerd: a key that is not there changes nothing.
        config = json.loads(self.config.read_bytes()) if self.config.exists() else {}
        self.engine.live_restore = config.get("live-restore", self.engine.live_restore)

    def restart(self, unit):
        self.event("restart", unit)

    def reload_or_start(self, unit):
        self.event("reload", unit)

    # the packet filter

    def set_openings(self, _manager, openings, restriction):
        self.opened, self.restriction = tuple(openings), restriction
        self.event("firewall", *openings)

    # the run

    def _observe(self, _spec, _connect, _probe, *, restarted, gate_reloaded):
        found = read_saved(str(self.config))
        return dataclasses.replace(
            self.state,
            config_text="" if found is None else found.content.decode(),
            config_missing=found is None,
            config_path=str(self.config),
            live_restore=self.engine.live_restore,
            interrupted=self.transaction().open() is not None,
            origin=self.transaction().origin(),
            restarted=restarted,
            gate_reloaded=gate_reloaded,
        )

    def run(self, spec=SPEC):
        """What the module does; the state is then what the plan led to."""
        host = ListenerHost(spec, lambda: self.engine)
        plan = planned(spec, host.observe())
        host.apply(plan)
        self.state = simulate_listener(host.observe(), plan)
        return plan

    def tree(self):
        """All files and links but the lock and what a record is."""
        return {
            str(path.relative_to(self.root)): read_saved(str(path)) if path.is_file() else None
            for path in sorted(self.root.rglob("*"))
        }

    def with_former_config(self):
        self.config.write_bytes(FORMER)
        self.config.chmod(0o640)
        os.utime(self.config, ns=(1_111_111_111_123_456_789, 1_111_111_111_123_456_789))


@pytest.fixture
def bench(tmp_path, monkeypatch):
    return Bench(tmp_path, monkeypatch)


def kinds(bench):
    return [event[0] for event in bench.events]


def test_a_run_writes_and_proves_and_leaves_no_journal(bench):
    bench.with_former_config()
    bench.run()
    assert kinds(bench) == [
        *["material", "validate", "daemon-reload", "enable", "reload", "firewall", "restart", "restart"],
        *["prove", "guard", "prove"],
    ]
    assert bench.events[6:8] == [
        ("restart", "docker.service"),
        ("restart", "wormhole-docker-insecure-plaintext-172.17.0.1:2375.socket"),
    ]
    assert (bench.units / UNIT).read_text().startswith("# Managed by")
    assert (bench.units / UNIX_UNIT).exists()
    assert bench.transaction().open() is None
    entry = bench.transaction().origin().files[str(bench.config)]
    assert (entry.original.content, entry.written) == (FORMER, bench.config.read_bytes())
    assert bench.config.stat().st_mode & 0o777 == 0o640
    assert not (bench.root / "interrupted").exists()


@pytest.mark.parametrize("former", [True, False])
def test_a_removal_leaves_everything_as_it_was_found(bench, former):
    if former:
        bench.with_former_config()
    before = bench.tree()
    bench.run()
    bench.events.clear()
    bench.run(ABSENT)
    assert bench.tree() == before
    assert "material" not in kinds(bench)
    assert not bench.engine.live_restore


def test_an_opening_that_the_restart_has_made_needless_is_closed_again(bench):
    bench.with_former_config()
    bench.moved = True
    bench.run()
    assert bench.events[5] == ("firewall", opening())
    assert [event for event in bench.events[6:] if event[0] == "firewall"] == [("firewall",)]


def steps(spec):
    """The numbers of the events after a run with this spec has checked that it may begin."""
    return range(3, 12) if spec.present else range(4, 10)


@pytest.mark.parametrize("number", steps(SPEC))
@pytest.mark.parametrize("failure", [FAILURE, VerificationFailed("x", found="y"), KeyError("defect")])
def test_whatever_fails_the_former_state_comes_back_and_the_error_says_so(bench, number, failure):
    bench.with_former_config()
    before = bench.tree()
    bench.fails_at, bench.failure = number, failure
    with pytest.raises(
        ApplyFailed, match="The previous configuration is restored and the engine answers"
    ) as caught:
        bench.run()
    assert bench.tree() == before
    assert ("report it" in caught.value.remedy) is isinstance(failure, KeyError)
    done, undone = bench.events[:number], bench.events[number:]
    assert (("restart", "docker.service") in undone) is (("restart", "docker.service") in done)
    assert (("firewall",) in undone) is ("firewall" in [event[0] for event in done])
    if ("restart", "docker.service") not in done:
        assert (("reload", "docker.service") in undone) is (("reload", "docker.service") in done)


@pytest.mark.parametrize("number", steps(ABSENT))
def test_a_removal_that_fails_leaves_the_listener_as_it_was(bench, number):
    bench.with_former_config()
    bench.run()
    before = bench.tree()
    bench.events.clear()
    bench.fails_at = number
    with pytest.raises(ApplyFailed, match="The previous configuration is restored and the engine answers"):
        bench.run(ABSENT)
    after = bench.tree()
    assert after == before
    assert ("restart", "docker.service") in bench.events[number:] or "stop" not in kinds(bench)[:number]


def test_the_number_of_steps_is_that_of_the_tests_above(bench):
    bench.with_former_config()
    bench.run()
    assert len(bench.events) == max(steps(SPEC))
    assert kinds(bench)[: min(steps(SPEC)) - 1] == ["material", "validate"]
    bench.events.clear()
    bench.run(ABSENT)
    assert len(bench.events) == max(steps(ABSENT))
    assert kinds(bench)[: min(steps(ABSENT))] == ["validate", "validate", "validate", "stop"]


def test_a_record_that_cannot_be_written_takes_everything_back(bench, monkeypatch):
    bench.with_former_config()
    before = bench.tree()

    def full(_self, _strip):
        raise ApplyFailed("origin.json", expected="to be written", found="No space left on device")

    monkeypatch.setattr(listener_host.Transaction.func, "commit", full)
    with pytest.raises(ApplyFailed, match="No space left on device.*The previous configuration is restored"):
        bench.run()
    assert bench.tree() == before


def test_a_guard_that_is_taken_back_leaves_no_reason(bench):
    before = bench.tree()

    def close(event):
        if event == ("restart", "docker.service") and (bench.root / "guard").exists():
            (bench.root / "closed").write_text("another tool wrote daemon.json")
        if event == ("guard",):
            raise FAILURE

    bench.hook = close
    with pytest.raises(ApplyFailed):
        bench.run(MINIMAL)
    assert "restart" in kinds(bench)
    assert bench.tree() == before


def test_a_signal_takes_everything_back(bench):
    bench.with_former_config()
    before = bench.tree()
    bench.hook = lambda event: (
        os.kill(os.getpid(), signal.SIGTERM) if event[0] == "enable" and len(bench.events) < 6 else None
    )
    with pytest.raises(ApplyFailed, match="SIGTERM.*The previous configuration is restored"):
        bench.run()
    assert bench.tree() == before
    assert "restart" not in kinds(bench)


def test_what_was_not_changed_goes_on_to_listen_when_a_restart_is_taken_back(bench):
    bench.run(MINIMAL)
    # Nothing but other certificates: no unit is touched.
    bench.state = dataclasses.replace(bench.state, served={"172.17.0.1": SERVED_OUTDATED})
    bench.events.clear()
    bench.hook = lambda event: (
        os.kill(os.getpid(), signal.SIGTERM) if event[0] == "restart" and len(bench.events) < 5 else None
    )
    with pytest.raises(ApplyFailed, match="SIGTERM.*The previous configuration is restored"):
        bench.run(MINIMAL)
    assert kinds(bench).count("restart") == 2
    assert "stop" not in kinds(bench)


def test_live_restore_of_this_run_lasts_until_the_engine_was_restarted_again(bench):
    bench.with_former_config()
    before, seen = bench.tree(), []
    bench.fails_at = max(steps(SPEC))

    def look(event):
        if event == ("restart", "docker.service"):
            seen.append(json.loads(bench.config.read_bytes()).get("live-restore"))

    bench.hook = look
    with pytest.raises(ApplyFailed, match="The previous configuration is restored"):
        bench.run()
    assert seen == [True, True]
    assert (bench.tree(), bench.engine.live_restore) == (before, False)


@pytest.mark.parametrize("number", steps(SPEC))
def test_a_configuration_without_a_directory_comes_back_as_that(bench, number):
    bench.config = bench.root / "etc/docker/daemon.json"
    daemon_json.PATH = str(bench.config)
    before = bench.tree()
    bench.fails_at = number
    with pytest.raises(ApplyFailed, match="The previous configuration is restored"):
        bench.run()
    assert bench.tree() == before


def test_an_address_that_was_closed_is_opened_again_by_a_restart(bench):
    bench.run(MINIMAL)
    bench.events.clear()
    moved = dataclasses.replace(MINIMAL, port=12376)
    bench.hook = lambda event: os.kill(os.getpid(), signal.SIGTERM) if event[0] == "enable" else None
    with pytest.raises(ApplyFailed, match="The previous configuration is restored"):
        bench.run(moved)
    assert kinds(bench).count("restart") == 1
    # An address of a unit that stays is closed by its file alone, when systemd reads it.
    bench.events.clear()
    other = bench.units / UNIT
    other.write_text(other.read_text().replace("172.17.0.1:2376", "172.17.0.9:2376"))
    bench.state = dataclasses.replace(
        bench.state, units={UNIT: dataclasses.replace(bench.state.unit(UNIT), text=other.read_text())}
    )
    bench.hook = lambda event: os.kill(os.getpid(), signal.SIGTERM) if event[0] == "daemon-reload" else None
    with pytest.raises(ApplyFailed, match="The previous configuration is restored"):
        bench.run(MINIMAL)
    assert [event for event in bench.events if event[0] in ("stop", "restart")] == [
        # Before systemd reads the previous files and, again, afterwards.
        ("stop", UNIT),
        ("stop", UNIT),
        ("restart", "docker.service"),
    ]
    assert "172.17.0.9" in other.read_text()


def test_the_directory_of_a_socket_goes_with_it_wherever_it_was(bench):
    directory = bench.root / "run/sockets"
    directory.mkdir(parents=True)
    bench.run(dataclasses.replace(MINIMAL, transports=("unix",), unix_directory=str(directory)))
    bench.run(dataclasses.replace(MINIMAL, state="absent"))
    assert not directory.exists()


def with_containers(bench, *names):
    for name in names:
        bench.engine.start_container(bench.engine.create_container(name, {"Image": IMAGE}))
    bench.state = dataclasses.replace(bench.state, containers=names)


def test_containers_are_remembered_also_while_a_change_is_taken_back(bench):
    with_containers(bench, "db")
    restarts = []

    def end(event):
        if event == ("restart", "docker.service"):
            bench.engine.stop_container("db")
            restarts.append((bench.root / "interrupted").read_text())
            if len(restarts) == 2:
                raise Killed
        elif event[0] == "prove":
            raise FAILURE

    bench.hook = end
    with pytest.raises(Killed):
        bench.run(MINIMAL)
    assert restarts == ['["db"]', '["db"]']
    assert (bench.root / "interrupted").exists()
    # It was going back: the next run does that first.
    bench.hook = None
    ListenerHost(MINIMAL, lambda: bench.engine).prepare()
    assert bench.engine.names() == {"db": "running"}
    assert bench.transaction().open() is None


def test_a_firewall_that_does_not_come_back_keeps_no_container_down(bench):
    with_containers(bench, "db")

    def end(event):
        if event == ("restart", "docker.service"):
            bench.engine.stop_container("db")
        elif event[0] == "prove" or event == ("firewall",):
            raise FAILURE

    bench.hook = end
    with pytest.raises(ApplyFailed, match="COULD NOT BE RESTORED"):
        bench.run(MINIMAL)
    assert bench.engine.names() == {"db": "running"}


def test_what_the_changes_own_restart_has_stopped_runs_again_whatever_spares_it_now(bench):
    with_containers(bench, "db")
    restarts = []

    def end(event):
        if event == ("restart", "docker.service"):
            restarts.append(event)
            if len(restarts) == 1:
                # Somebody has added live-restore, which the engine reads with this restart.
                bench.engine.stop_container("db")
                bench.engine.live_restore = True
                raise FAILURE

    bench.hook = end
    with pytest.raises(ApplyFailed, match="The previous configuration is restored"):
        bench.run(MINIMAL)
    assert bench.engine.names() == {"db": "running"}


def test_a_container_that_does_not_start_keeps_no_firewall_open(bench, monkeypatch):
    with_containers(bench, "db")

    def fail(_name):
        raise FAILURE

    def end(event):
        if event == ("restart", "docker.service"):
            bench.engine.stop_container("db")
            monkeypatch.setattr(bench.engine, "start_container", fail)

    bench.hook = end
    with pytest.raises(ApplyFailed, match="COULD NOT BE RESTORED .*db"):
        bench.run(MINIMAL)
    assert bench.events[-1] == ("firewall",)
    assert (bench.root / "interrupted").exists()


def test_a_container_that_ends_at_once_takes_the_change_back(bench, monkeypatch):
    with_containers(bench, "job", "db")
    bench.hook = lambda event: (
        [bench.engine.stop_container(name) for name in ("job", "db")]
        if event == ("restart", "docker.service")
        else None
    )
    start = bench.engine.start_container

    def start_and_end(name):
        start(name)
        if name == "job":
            bench.engine.stop_container(name)

    monkeypatch.setattr(bench.engine, "start_container", start_and_end)
    with pytest.raises(
        ApplyFailed, match=r"failed after it: job \(exit status 137\).*docker logs job.*is restored"
    ):
        bench.run(MINIMAL)
    assert bench.engine.names() == {"db": "running", "job": "exited"}
    bench.engine.statuses = {}
    bench.run(MINIMAL)


def test_what_was_closed_of_somebody_elses_is_told(bench):
    bench.run(MINIMAL)
    socket = dataclasses.replace(
        ADDED_STREAM, sources=(f"{bench.units}/docker.socket.d/tcp.conf",), drop_ins=()
    )
    bench.state = dataclasses.replace(bench.state, unmanaged_sockets={"docker.socket": socket})
    before = bench.tree()
    bench.hook = lambda event: os.kill(os.getpid(), signal.SIGTERM) if event[0] == "daemon-reload" else None
    with pytest.raises(ApplyFailed, match="answers. The TCP sockets of docker.socket stay closed"):
        bench.run(MINIMAL)
    assert bench.tree() == before


def test_material_that_is_not_right_is_told_before_anything_is_touched(bench):
    before = bench.tree()
    bench.fails_at, bench.failure = 1, Refused("cert.pem")
    with pytest.raises(Refused, match="cert.pem"):
        bench.run()
    assert bench.tree() == before
    assert bench.events == [("material", "172.17.0.1")]


@pytest.mark.parametrize("config", [FORMER, None])
@pytest.mark.parametrize("spec", [SPEC, ABSENT])
def test_a_configuration_that_dockerd_rejects_is_told_before_anything_is_touched(bench, spec, config):
    if config:
        bench.with_former_config()
    if not spec.present:
        bench.run()
        bench.events.clear()
    before = bench.tree()
    bench.fails_at = 2 if spec.present else 1
    with pytest.raises(EngineUnavailable, match="a failure of this test"):
        bench.run(spec)
    assert kinds(bench) == (["material", "validate"] if spec.present else ["validate"])
    assert bench.tree() == before


def test_a_restart_alone_is_not_begun_with_a_configuration_that_dockerd_rejects(bench):
    bench.with_former_config()
    bench.run(MINIMAL)
    bench.events.clear()
    bench.state = dataclasses.replace(bench.state, served={"172.17.0.1": SERVED_OUTDATED})
    before = bench.tree()
    bench.fails_at = 2
    with pytest.raises(EngineUnavailable, match="a failure of this test"):
        bench.run(MINIMAL)
    assert kinds(bench) == ["material", "validate"]
    assert bench.tree() == before


def test_a_state_that_cannot_be_put_back_is_said_and_kept_for_the_next_run(bench):
    bench.with_former_config()
    before = bench.tree()

    def fail(event):
        if event == ("restart", "docker.service"):
            bench.engine.down = True
            raise FAILURE

    bench.hook = fail
    with pytest.raises(ApplyFailed, match="THE PREVIOUS STATE COULD NOT BE RESTORED.*needs attention now"):
        bench.run()
    assert bench.transaction().open() is not None
    bench.hook = lambda event: setattr(
        bench.engine, "down", event != ("restart", "docker.service") and bench.engine.down
    )
    bench.events.clear()
    host = ListenerHost(dataclasses.replace(SPEC, state="planned"), lambda: bench.engine)
    host.prepare()
    assert host.undone
    assert ("restart", "docker.service") in bench.events
    assert bench.tree() == before


class Killed(BaseException):
    """What no handler of an error catches, as SIGKILL."""


def kill(bench, number):
    bench.fails_at, bench.failure = number, Killed()
    with pytest.raises(Killed):
        bench.run()
    bench.fails_at = None
    bench.events.clear()


@pytest.mark.parametrize("number", steps(SPEC))
def test_a_run_that_was_killed_is_finished_by_the_next_one_where_the_engine_runs(bench, number):
    bench.with_former_config()
    before = bench.tree()
    kill(bench, number)
    assert bench.transaction().open() is not None
    after_kill = bench.tree()
    host = ListenerHost(dataclasses.replace(SPEC, state="planned"), lambda: bench.engine)
    host.prepare()
    assert (bench.tree(), bench.events, host.undone) == (after_kill, [], False)
    bench.run()
    assert bench.transaction().open() is None
    assert bench.transaction().origin().files[str(bench.config)].original.content == FORMER
    bench.run(ABSENT)
    assert bench.tree() == before


@pytest.mark.parametrize("number", steps(SPEC))
def test_a_run_that_was_killed_is_undone_by_the_next_one_that_cannot_go_on(bench, number):
    bench.with_former_config()
    before = bench.tree()
    kill(bench, number)
    refusal = Refused("x", remedy="Do y")
    failure = ListenerHost(SPEC, lambda: bench.engine).give_up(refusal)
    assert isinstance(failure, ApplyFailed)
    assert failure.remedy == "Do y. The previous configuration is restored and the engine answers"
    assert bench.tree() == before


def test_a_run_that_left_nothing_has_nothing_to_clean_up(bench):
    host = ListenerHost(SPEC, lambda: bench.engine)
    bench.engine.down = True
    host.prepare()
    assert host.give_up(FAILURE) is FAILURE
    assert bench.events == []


def test_containers_that_a_restart_stops_run_again_and_those_it_removes_are_gone(bench):
    for name in ("db", "once"):
        bench.engine.start_container(bench.engine.create_container(name, {"Image": IMAGE}))
    bench.state = dataclasses.replace(bench.state, containers=("db", "once"))

    def stop(event):
        if event == ("restart", "docker.service"):
            bench.engine.stop_container("db")
            bench.engine.remove_container("once", force=True)
            assert (bench.root / "interrupted").read_text() == '["db", "once"]'

    bench.hook = stop
    bench.run(ListenerSpec())
    assert bench.engine.names() == {"db": "running"}
    assert not (bench.root / "interrupted").exists()


def test_containers_that_live_restore_does_not_spare_are_started_again_and_told(bench):
    for name in ("db", "job", "through"):
        bench.engine.start_container(bench.engine.create_container(name, {"Image": IMAGE}))
    bench.state = dataclasses.replace(bench.state, containers=("db", "job", "through"))

    def lose(event):
        if event == ("restart", "docker.service"):
            for name in ("job", "through"):
                bench.engine.stop_container(name)

    bench.hook = lose
    host = ListenerHost(ListenerSpec(live_restore=True), lambda: bench.engine)
    host.apply(planned(ListenerSpec(live_restore=True), host.observe()))
    assert bench.engine.names() == {"db": "running", "job": "running", "through": "exited"}
    assert host.lost == ("job",)


def test_a_reload_that_does_not_take_effect_is_a_failure(bench, monkeypatch):
    monkeypatch.setattr(bench, "reload", lambda unit: bench.event("reload", unit))
    before = bench.tree()
    with pytest.raises(ApplyFailed, match="was reloaded, but live-restore is not on"):
        bench.run()
    assert bench.tree() == before


def test_a_link_to_daemon_json_stays_one(bench):
    real = bench.root / "real.json"
    real.write_bytes(FORMER)
    bench.config.symlink_to(real)
    original = bench._observe
    host = ListenerHost(SPEC, lambda: bench.engine)
    found = original(SPEC, None, None, restarted=False, gate_reloaded=False)
    state = dataclasses.replace(found, config_path=str(real))
    plan = planned(SPEC, with_config(FORMER.decode(), state))
    assert names(plan)[0] == "WriteConfig"
    host._state = state
    host.apply(plan)
    assert bench.config.is_symlink()
    assert b"tlsverify" in real.read_bytes()


# --- the gate

GATE = ListenerSpec(served_by="gate")
DOOR = "wormhole-gate-tls-172.17.0.1:2376.socket"


def test_a_run_for_the_gate_leaves_dockerd_and_its_configuration_alone(bench):
    bench.with_former_config()
    bench.run(GATE)
    assert bench.events[:2] == [("material", "172.17.0.1"), ("gate", "/etc/wormhole/server")]
    assert kinds(bench)[2:] == ["daemon-reload", "enable", "firewall", "reload", "restart", "prove"]
    assert bench.events[5:7] == [("reload", "wormhole-gate.service"), ("restart", DOOR)]
    assert bench.config.read_bytes() == FORMER
    assert not (bench.root / "guard").exists()
    bench.events.clear()
    assert bench.run(GATE).is_empty


@pytest.mark.parametrize("number", range(3, 9))
def test_sockets_of_the_gate_are_taken_back_without_the_engine(bench, number):
    before = bench.tree()
    bench.fails_at = number
    with pytest.raises(ApplyFailed, match="The previous configuration is restored"):
        bench.run(GATE)
    assert bench.tree() == before
    assert ("restart", "docker.service") not in bench.events
    assert ("stop", DOOR) in bench.events


@pytest.mark.parametrize("first, second", [(MINIMAL, GATE), (GATE, MINIMAL)])
def test_a_switch_that_fails_is_taken_back_after_the_engine_has_closed_the_port(bench, first, second):
    bench.run(first)
    before = bench.tree()
    bench.events.clear()
    bench.hook = lambda event: os.kill(os.getpid(), signal.SIGTERM) if event[0] == "prove" else None
    with pytest.raises(ApplyFailed, match="SIGTERM.*The previous configuration is restored"):
        bench.run(second)
    assert bench.tree() == before
    restarts = [event[1] for event in bench.events if event[0] == "restart"]
    expected = {MINIMAL: ["docker.service", DOOR, "docker.service"], GATE: ["docker.service"] * 2 + [DOOR]}
    assert restarts == expected[first]
    stopped = {unit for event in bench.events if event[0] == "stop" for unit in event[1:]}
    assert {UNIT, DOOR} <= stopped


def test_policies_of_a_switch_that_fails_are_taken_back(bench, monkeypatch):
    bench.run(MINIMAL)
    bench.events.clear()

    def shown(actions):
        return [(type(action).__name__, action.identity) for action in actions]

    monkeypatch.setattr(admission, "apply_access", lambda actions: [bench.event(*a) for a in shown(actions)])
    bench.state = dataclasses.replace(bench.state, unadmitted=(Admission("agent", ("/a/cert.pem",)),))
    bench.hook = lambda event: os.kill(os.getpid(), signal.SIGTERM) if event[0] == "prove" else None
    with pytest.raises(ApplyFailed, match="The previous configuration is restored"):
        bench.run(GATE)
    changes = [event for event in bench.events if event[-1] == "agent"]
    assert changes == [("WritePolicy", "agent"), ("RemovePolicy", "agent")]
    assert bench.events.index(changes[0]) < [event[0] for event in bench.events].index("stop")


@pytest.mark.parametrize("name, closes", [(UNIT, True), (DOOR, False)])
def test_only_sockets_of_dockerds_need_a_restart_to_open_again(bench, name, closes):
    path = bench.units / name
    path.write_text("[Socket]\nListenStream=172.17.0.1:2376\n")
    assert host_units.closes_sockets(WriteUnits(((str(path), None),))) is closes


def test_an_address_of_the_gate_that_is_closed_is_opened_again_without_the_engine(bench):
    bench.run(dataclasses.replace(GATE, addresses=("gateways",)))
    before = bench.tree()
    bench.events.clear()
    bench.hook = lambda event: os.kill(os.getpid(), signal.SIGTERM) if event[0] == "prove" else None
    with pytest.raises(ApplyFailed, match="The previous configuration is restored"):
        bench.run(GATE)
    assert bench.tree() == before
    restarted = [unit for event in bench.events if event[0] == "restart" for unit in event[1:]]
    assert restarted == ["wormhole-gate-tls-172.18.0.1:2376.socket", "wormhole-gate-tls-fd00::1:2376.socket"]


def test_another_address_leaves_the_other_sockets_of_the_gate_alone(bench):
    bench.run(GATE)
    before = bench.tree()
    bench.events.clear()
    more = dataclasses.replace(GATE, addresses=("gateways",))
    bench.hook = lambda event: os.kill(os.getpid(), signal.SIGTERM) if event[0] == "prove" else None
    with pytest.raises(ApplyFailed, match="The previous configuration is restored"):
        bench.run(more)
    assert bench.tree() == before
    touched = [event for event in bench.events if event[0] in ("stop", "restart")]
    assert not any(DOOR in event for event in touched)
