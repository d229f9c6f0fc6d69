# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Any sequence of runs that may fail or be killed at any step, with changes by others in between.

Engine and clock are fakes; identities are real files, with owners. The following always holds:

- Two containers of a wormhole never run at the same time.
- After a run that fails, a container runs if one ran before, unless the error says that it could
  not be restored.
- After a run that succeeds, only the wormhole exists, as specified; the same run changes nothing.
- The key of a running container is readable to its user only, and other wormholes keep their keys.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import (
    EngineUnavailable,
    VerificationFailed,
    WormholeError,
)
from ansible_collections.wormhole.docker.plugins.module_utils._base.io import files
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.authority import AuthoritySpec
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.io import (
    decoding,
    installing,
    issuing,
    signing,
)
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.io import (
    record as certificate_record,
)
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.io import (
    removal as certificate_removal,
)
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.io import (
    store as certificate_store,
)
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.io.authority import (
    make_certificate,
)
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.model import IssueCertificate
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.trust import Authority, Trust
from ansible_collections.wormhole.docker.plugins.module_utils._container.inspection import is_running
from ansible_collections.wormhole.docker.plugins.module_utils._glue.wormhole import parse_wormhole
from ansible_collections.wormhole.docker.plugins.module_utils._wiring.io.state import observe_wiring
from ansible_collections.wormhole.docker.plugins.module_utils._wormhole.io.managed import ManagedWormhole
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._engine.io.fake import (
    IMAGE,
    NONROOT_IMAGE,
    PARAMETERS,
    FakeEngine,
)

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
DAY = timedelta(days=1)
CA_KEY = issuing.make_key("ecdsa-p256")
CA_PEM = make_certificate(AuthoritySpec("/ca", "CA", "ecdsa-p256", 3650 * DAY), CA_KEY, NOW - DAY)
AUTHORITY = Authority(Trust(decoding.read_bundle(CA_PEM)), decoding.read_certificate(CA_PEM), clock=NOW)

DEFAULTS = {
    **PARAMETERS,
    "identity_managed": True,
    "identity_key_type": "ecdsa-p256",
    "identity_validity_days": 365,
    "detach": True,
    "discover": "launch",
}
STEPS = (
    *("create_container", "update_container", "start_container", "stop_container", "rename_container"),
    *("remove_container", "connect_network", "disconnect_network"),
)
UIDS = {"": 0, "ci": 1234}

PARAMS = st.fixed_dictionaries(
    {"state": st.sampled_from(["started", "started", "present", "stopped", "absent"])},
    optional={
        "user": st.sampled_from(["0", "77", "1234", "ci"]),
        "image": st.sampled_from([IMAGE, NONROOT_IMAGE, None]),
        "identity": st.sampled_from(["other", "shared"]),
        "identity_managed": st.just(False),
        "transport": st.just("unix"),
        "recreate": st.just(True),
        "networks": st.just([{"name": "bridge"}, {"name": "further"}]),
        "env": st.sampled_from([{"A": "x"}, {"A": "y"}]),
        "restart_policy": st.just("always"),
        # There is no such program: it cannot be started.
        "command": st.just("nosuch"),
    },
)
FAILING = {
    "state": "started",
    "user": "0",
    "command": "nosuch",
    "image": IMAGE,
    "restart_policy": "always",
    "recreate": True,
}
KEEPING = {"state": "started", "image": None}
FAULTS = st.none() | st.tuples(
    st.sampled_from(["fail", "kill"]), st.sampled_from(["before", "after"]), st.integers(1, 10)
)
# Both run as far as the engine is concerned.
OFF = {
    "pause": {"Status": "paused", "Paused": True},
    "crash": {"Status": "restarting", "Restarting": True},
}
OTHERS = st.none() | st.sampled_from(["stop", "pause", "remove", "crash"])


class Killed(BaseException):
    """The process is no more: nothing of it is done any longer."""


@dataclass
class Outcome:
    """How a run ended: done, failed or killed, with its first plan and its error."""

    kind: str
    plan: object = None
    error: str = ""


class World:
    """A host with an engine, a listener, identities, and an unrelated wormhole."""

    def __init__(self, home, patch):
        self.engine = FakeEngine()
        self.engine.add_network("further", "10.9.0")
        self.units, self.identities = home / "units", home / "identities"
        for directory in (self.units, self.identities, self.identities / "given"):
            directory.mkdir()
        (self.units / "wormhole-docker-172.17.0.1:2376.socket").write_text(
            "[Socket]\nListenStream=172.17.0.1:2376\n"
        )
        for name in ("ca.pem", "cert.pem", "key.pem"):
            (self.identities / "given" / name).write_text("given")
            (self.identities / "given" / name).chmod(0o444)
        self.now = NOW
        self.fault, self.count, self.dead, self.running = None, 0, False, False
        patch.setattr(certificate_record, "directory", lambda: str(home / "record"))
        patch.setattr(os, "fsync", lambda _descriptor: None)
        for name in STEPS:
            setattr(self.engine, name, partial(self._step, getattr(self.engine, name)))
        for module, name in (
            (installing, "set_attributes"),
            (certificate_removal, "apply_removal"),
            (files, "write_file"),
        ):
            patch.setattr(module, name, partial(self._step, getattr(module, name)))

    def _step(self, function, *args, **kwargs):
        """A step that changes something, at which a run may fail or be killed."""
        if not self.running:
            return function(*args, **kwargs)
        if self.dead:
            raise Killed
        self.count += 1
        kind, when, number = self.fault or ("", "", 0)
        failure = Killed() if kind == "kill" else EngineUnavailable("a step", found="a failure of the test")
        hit = number == self.count
        self.dead = hit and kind == "kill"
        if hit and when == "before":
            raise failure
        result = function(*args, **kwargs)
        assert len(self.alive()) < 2
        if hit:
            raise failure
        return result

    def containers(self):
        return [c for c in self.engine._containers.values() if c["Name"].startswith("/agent")]

    def alive(self):
        return [container for container in self.containers() if container["State"]["Running"]]

    def interfere(self, what):
        """Something that others do to the wormhole's container."""
        found = self.engine._search("agent")
        if found is None:
            return
        if what == "stop":
            self.engine.stop_container("agent")
        elif what == "remove":
            self.engine.remove_container("agent", force=True)
        elif what in OFF and found["State"]["Running"] and not found["State"]["Restarting"]:
            found["State"].update(OFF[what])

    def prove(self, container, spec, wiring, just_started):
        found = self.engine.find_container(container)
        if not is_running(found):
            raise VerificationFailed("the container", found="that it does not run")
        sources = {bind.split(":")[1]: bind.split(":")[0] for bind in found["HostConfig"]["Binds"] or ()}
        if spec.transport == "tls":
            self._refuse_key(found, sources["/certs"])

    @staticmethod
    def _refuse_key(container, directory):
        status = os.stat(f"{directory}/key.pem")
        if uid_of(container) not in (0, status.st_uid) and not status.st_mode & 0o004:
            raise VerificationFailed("the container", found=f"the key of {status.st_uid}")

    def check_keys(self):
        for container in self.engine._containers.values():
            directory = container["Config"]["Labels"].get("wormhole.docker.identity-directory")
            if directory and container["State"]["Running"] and not directory.endswith("/given"):
                status = os.stat(f"{directory}/key.pem")
                assert (status.st_uid, status.st_mode & 0o777) == (uid_of(container), 0o400), container[
                    "Name"
                ]
        assert (self.identities / "given/key.pem").read_text() == "given"
        assert "neighbour" in self.engine.names()
        assert (self.identities / "shared/key.pem").exists()

    def run(self, params, fault=None):
        """What the module does."""
        params = {**DEFAULTS, **params}
        name = (params.get("identity") or params["name"]) if params["identity_managed"] else "given"
        spec, identity = parse_wormhole(
            {**params, "identity_directory": str(self.identities / name)}, "/var/run/docker.sock"
        )
        wormhole = ManagedWormhole(
            spec,
            identity,
            self.engine,
            self.prove,
            AUTHORITY,
            self.now,
            await_health=lambda *_args: None,
            look=partial(observe_wiring, unit_directory=str(self.units)),
        )
        self.fault, self.count, self.dead, issued = fault, 0, False, {}

        def issue(part):
            for action in part.actions:
                if isinstance(action, IssueCertificate):
                    request = certificate_store.make_request(action.spec, keep_key=action.keep_key)
                    signed = signing.sign_certificate(action.spec, request, CA_PEM, CA_KEY, self.now)
                    issued[action.spec.name] = signed

        plan = None
        try:
            self.running = True
            state = wormhole.observe()
            plan = wormhole.plan(state)
            if not plan.is_empty:
                wormhole.apply(plan, issue, issued)
                state = wormhole.observe()
                assert wormhole.plan(state).is_empty, wormhole.plan(state).texts()
            wormhole.host.verify_running(state.wormhole.container)
            return Outcome("done", plan)
        except WormholeError as error:
            return Outcome("failed", plan, str(error))
        except Killed:
            return Outcome("killed", plan)
        finally:
            self.running = self.dead = False


def uid_of(container):
    user = container["Config"]["User"].partition(":")[0]
    return int(user) if user.isdigit() else UIDS[user]


@pytest.mark.skipif(os.geteuid() != 0, reason="giving keys to the users of containers takes root")
@given(st.lists(st.tuples(OTHERS, PARAMS, FAULTS, st.booleans()), min_size=2, max_size=6))
@example(
    [
        (None, {"state": "started"}, None, False),
        # Killed after the new container's user got the key, before the container started.
        (None, {"state": "started", "recreate": True}, ("kill", "before", 8), False),
        # Restores the previous container, fails to replace it, and makes no identity of its own.
        (
            None,
            {**FAILING, "transport": "unix", "networks": [{"name": "bridge"}, {"name": "further"}]},
            None,
            False,
        ),
    ]
)
@example(
    [(None, {**FAILING, "transport": "tls"}, ("kill", "before", 8), False), (None, KEEPING, None, False)]
)
# Killed during its rollback: the new container is removed, and the next step is done, too.
@example(
    [(None, {**FAILING, "transport": "tls"}, ("kill", "after", 10), False), (None, KEEPING, None, False)]
)
def test_whatever_happens_a_wormhole_is_whole_or_as_it_was(runs):
    with tempfile.TemporaryDirectory() as home, pytest.MonkeyPatch.context() as patch:
        world = World(Path(home), patch)
        neighbour = world.run({"name": "neighbour", "identity": "shared", "user": "1234"})
        assert (neighbour.kind, neighbour.error) == ("done", "")
        launched = world.run({"user": "1234"})
        assert (launched.kind, launched.error) == ("done", "")
        unsettled = False
        for interference, params, fault, later in runs:
            if not unsettled:
                world.interfere(interference)
            world.now += 100 * DAY if later else timedelta()
            ran = bool(world.alive())
            outcome = world.run(params, fault)
            unsettled = outcome.kind == "killed"
            if unsettled:
                continue
            world.check_keys()
            if outcome.kind == "failed":
                put_back = "either" not in outcome.error
                assert world.alive() or not ran or not put_back or params["state"] in ("absent", "stopped")
                unsettled = bool({"agent.wormhole-former", "agent.wormhole-next"} & set(world.engine.names()))
                continue
            check_success(world, params, fault)


def check_success(world, params, fault):
    """Check what holds after a run that succeeded."""
    names = set(world.engine.names())
    assert names <= {"agent", "neighbour"}, names
    state = params["state"]
    assert ("agent" in names) == (state != "absent")
    assert state != "started" or world.alive()
    assert state not in ("stopped", "absent") or not world.alive()
    if fault is None or world.count < fault[2]:
        again = world.run({**params, "recreate": False})
        assert (again.kind, again.error) == ("done", "")
        assert again.plan.is_empty, again.plan.texts()
