# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Part ``integration``: against real hosts of both Debian releases, which a lab boots for this run.

The contract of the engine adapter and the targets below tests/integration/targets, by ``ansible-test integration`` over SSH,
share a host of each release; the scenarios of tests/system go file by file. Targets and scenarios take turns on the releases,
unless the run is thorough. The older release is driven by the older ansible-core, the newer one by the newer.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from lab import Host, HostSpec, Lab, lifecycle, netns
from lab.limits import engine_with_limits
from lab.paths import LabPaths
from lab.spec import Release
from runner import ansible_test, tools
from runner.ansible_test import AnsibleTest, Core
from runner.steps import ROOT, Action, Failed, Lane, Log, Outcome, Settings, Step, passed_if
from runner.turns import take_turn

PYTHON_OF: dict[Release, str] = {12: "3.11", 13: "3.13"}
"""The Python that the release brings: modules run on it."""

SDK_OF: dict[Release, str] = {12: "contract-oldest", 13: "contract-newest"}
"""The environment with the Docker SDK that the engine of a release is tried with."""


@dataclass
class Ground:
    """The hosts of this run.

    A lab that somebody started by ``./dev lab up`` is used and left running, but never its hosts: ours are new, and
    are removed at the end.
    """

    images_ready: threading.Event = field(default_factory=threading.Event)
    images_error: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _installing: threading.Lock = field(default_factory=threading.Lock)
    _exits: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    _lab: Lab | None = None
    _hosts: dict[Release, Host] = field(default_factory=dict)
    _artefacts: dict[Release, Path] = field(default_factory=dict)

    def lab(self) -> Lab:
        """The lab, started where none runs, once the images are there."""
        self.images_ready.wait()
        if self.images_error:
            raise Failed(f"the lab's images could not be built: {self.images_error}")
        with self._lock:
            if self._lab is None:
                self._lab = Lab.attach(root=ROOT) or self._exits.enter_context(Lab.owned(root=ROOT))
            return self._lab

    def host(self, release: Release) -> Host:
        """The host of a release that contract and targets share, one after the other."""
        lab = self.lab()
        with self._lock:
            if release not in self._hosts:
                host = lab.fresh_host(HostSpec(release))
                self._exits.callback(host.destroy)
                self._hosts[release] = host
            return self._hosts[release]

    def artefact(self, release: Release, install: Callable[[], Path]) -> Path:
        """Where the collection is installed that the scenarios on a release use; whoever asks first installs it."""
        with self._installing:
            if release not in self._artefacts:
                self._artefacts[release] = install()
            return self._artefacts[release]

    def clear(self) -> None:
        with self._lock:
            self._exits.close()


_ground = Ground()


def prepare(log: Log, say: Callable[[str], None]) -> None:
    """Begin to build what the hosts are made of, while other parts run."""

    def build() -> None:
        try:
            lifecycle.prepare(LabPaths(ROOT), tuple(PYTHON_OF), lambda text: _tell(text, log, say))
        except Exception as error:
            _ground.images_error = str(error)
            log.write(str(error))
        finally:
            _ground.images_ready.set()

    threading.Thread(target=build, daemon=True).start()


def _tell(text: str, log: Log, say: Callable[[str], None]) -> None:
    log.write(text)
    say(f"{'lab':<12} {text}")


def clean_up() -> None:
    """Remove the hosts of this run, and the lab if it is ours."""
    _ground.clear()


def lanes(settings: Settings) -> list[Lane]:
    cores, _remarks = ansible_test.cores()
    if not cores:
        return []
    core_of = dict(zip(PYTHON_OF, (cores[0], cores[-1]), strict=True))
    try:
        scenarios = [
            _scenarios(release, core_of[release], file) for release, file in scenario_files(settings)
        ]
    except Failed as error:
        scenarios = [Step("integration", "the list of the scenarios", _failure(str(error)))]
    # What takes long comes first, so that no worker is left alone with it at the end.
    return [
        *(_shared_host(settings, release, core) for release, core in core_of.items()),
        *([step] for step in scenarios),
        [Step("integration", "the lab itself", _lab_itself)],
    ]


def _failure(text: str) -> Action:
    def action(_settings: Settings, _log: Log) -> Outcome:
        raise Failed(text)

    return action


def _shared_host(settings: Settings, release: Release, core: Core) -> Lane:
    steps = [Step("integration", f"a host of Debian {release}", _boot(release))]
    if (ROOT / "tests/contract").is_dir():
        limits = take_turn("contract", (12, 13), settings.seed) == release
        for limited in (False, True) if settings.thorough else (limits,):
            kind = "that limits" if limited else "without controllers"
            name = f"contract with the engine of Debian {release} {kind}"
            steps.append(Step("integration", name, _contract(release, limited)))
    targets = [path.name for path in (ROOT / "tests/integration/targets").iterdir() if path.is_dir()]
    for target in sorted(targets):
        if settings.thorough or take_turn(target, tuple(PYTHON_OF), settings.seed) == release:
            steps.append(
                Step("integration", f"{target} on Debian {release}, {core}", _target(release, core, target))
            )
    return steps


def scenario_files(settings: Settings) -> list[tuple[Release, str]]:
    """The files of scenarios with the releases that they have some for; those with the most scenarios come first.

    Raises:
        Failed: pytest cannot make sense of one of them.
    """
    numbers: dict[tuple[Release, str], int] = {}
    for release in PYTHON_OF:
        command = [sys.executable, "-m", "pytest", "tests/system", "--collect-only", "-q", "--release"]
        listed = subprocess.run(
            [*command, str(release)],
            cwd=settings.root,
            env={**tools.plain_environment(), **_variables(settings)},
            capture_output=True,
            text=True,
            check=False,
        )
        if listed.returncode != 0:
            raise Failed(
                f"the scenarios on Debian {release} could not be listed:\n{listed.stdout}{listed.stderr}"
            )
        for file in re.findall(r"^(tests/system/\w+\.py)::", listed.stdout, re.MULTILINE):
            numbers[release, file] = numbers.get((release, file), 0) + 1
    return sorted(numbers, key=lambda of: (-numbers[of], of[1], of[0]))


def _boot(release: Release) -> Action:
    def action(_settings: Settings, log: Log) -> Outcome:
        log.write("waits for the lab's images, then boots")
        host = _ground.host(release)
        versions = host.run(
            "docker version --format '{{.Server.Version}}'; python3 --version; systemctl --version"
        )
        log.write(versions.stdout)
        engine = versions.stdout.splitlines()[0]
        return Outcome(passed=1, note=f"{host.name}: Docker {engine}")

    return action


def _lab_itself(settings: Settings, log: Log) -> Outcome:
    """The lab's own tests start and end labs of their own, from outside."""
    _ground.images_ready.wait()
    return _pytest(settings, log, Path(sys.executable), "tests/lab", [], {}, outside=True)


def _pytest(
    settings: Settings,
    log: Log,
    python: Path,
    path: str,
    options: list[str],
    variables: dict[str, str | Path],
    *,
    outside: bool = False,
) -> Outcome:
    """Run pytest in the lab's network, or outside of it, and count what it says."""
    report = log.path.with_suffix(".xml")
    place = settings.root / path
    rootdir = place if place.is_dir() else place.parent
    prefix: list[str | Path] = [] if outside else [*netns.enter_argv(_ground.lab())]
    command = [*prefix, python, "-m", "pytest", "-c", settings.root / "pyproject.toml"]
    status = log.run(
        [*command, "--junit-xml", report, "--rootdir", rootdir, path, "-v", *options],
        cwd=settings.root,
        env={
            **tools.plain_environment(python.parent),
            **_variables(settings),
            **{name: str(value) for name, value in variables.items()},
        },
        timeout=7200 if settings.thorough else 2100,
    )
    return ansible_test.judge(status, ansible_test.count([report] if report.exists() else []))


def _variables(settings: Settings) -> dict[str, str]:
    """What tests find in their environment."""
    return {
        "PYTHONPATH": f"{settings.collections}:{settings.root / 'tests'}",
        "WORMHOLE_COLLECTIONS": str(settings.collections),
        "WORMHOLE_SEED": str(settings.seed),
        **({"WORMHOLE_THOROUGH": "1"} if settings.thorough else {}),
    }


def _contract(release: Release, limited: bool) -> Action:
    def action(settings: Settings, log: Log) -> Outcome:
        binaries = tools.environment(settings, log, SDK_OF[release])
        lab, host = _ground.lab(), _ground.host(release)
        with contextlib.ExitStack() as exits:
            if limited:
                exits.enter_context(engine_with_limits(lab, host))
            socket = exits.enter_context(host.forward_docker_socket(lab.paths.run / f"contract-{release}"))
            return _pytest(
                settings, log, binaries / "python", "tests/contract", ["--engine-socket", str(socket)], {}
            )

    return action


def _target(release: Release, core: Core, target: str) -> Action:
    def action(settings: Settings, log: Log) -> Outcome:
        program = AnsibleTest(settings, log, core, f"integration-{release}")
        host = _ground.host(release)
        host.authorize(_key(program.home, program.root, log))
        facts = {"lab_release": release, "lab_seed": settings.seed, "lab_thorough": settings.thorough}
        (program.root / "tests/integration/integration_config.yml").write_text(json.dumps(facts))
        # The target comes first: after some options it would be taken for their argument.
        command = ["integration", target, "--color", "no", "--allow-destructive", "--controller"]
        command += [
            f"origin:python={core.python}",
            "--target",
            f"ssh:root@{host.address},python={PYTHON_OF[release]}",
        ]
        status = program.run(command, prefix=netns.enter_argv(_ground.lab()))
        return passed_if(status == 0 and "PLAY RECAP" in log.text())

    return action


def _key(home: Path, tree: Path, log: Log) -> str:
    """The public half of the key that ansible-test logs in with; made as ansible-test makes it, where it has not."""
    key = home / ".ansible/test/id_rsa"
    public = key.with_suffix(".pub")
    if not public.exists():
        key.unlink(missing_ok=True)
        command: list[str | Path] = ["ssh-keygen", "-q", "-m", "PEM", "-t", "rsa", "-N", "", "-f", key]
        if log.run(command, cwd=home) != 0:
            raise Failed("no key for ansible-test could be made")
    for copy in (tree / "tests/output/.tmp").glob("id_rsa*"):
        copy.unlink()
    return public.read_text().strip()


def _scenarios(release: Release, core: Core, file: str) -> Step:
    def action(settings: Settings, log: Log) -> Outcome:
        python = tools.interpreters()[core.python]
        binaries = tools.environment(settings, log, core.name, python)
        variables: dict[str, str | Path] = {
            "WORMHOLE_ANSIBLE": binaries,
            "WORMHOLE_COLLECTIONS": _ground.artefact(
                release, lambda: _install_artefact(settings, log, binaries, release)
            ),
        }
        _ground.lab()
        # From outside of the lab's network, which its playbooks enter by themselves: a scenario reaches a host that it has
        # cut off from its controller, and makes the images that it alone needs.
        options = ["--release", str(release)]
        return _pytest(settings, log, Path(sys.executable), file, options, variables, outside=True)

    return Step("integration", f"{Path(file).stem} on Debian {release}, {core}", action)


def _install_artefact(settings: Settings, log: Log, binaries: Path, release: Release) -> Path:
    """The collection as users have it: built, and installed by its artefact; the scenarios run from there."""
    place = settings.work / f"artefact-{release}"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    galaxy: list[str | Path] = [binaries / "ansible-galaxy", "collection"]
    env = tools.plain_environment(binaries, HOME=place, ANSIBLE_HOME=place / "ansible")

    def run(*command: str | Path) -> None:
        if log.run([*galaxy, *command], cwd=place, env=env, timeout=300) != 0:
            raise Failed(f"the artefact: ansible-galaxy collection {command[0]} failed")

    run("build", settings.stage, "--output-path", place)
    run("install", next(place.glob("wormhole-docker-*.tar.gz")), "--offline", "--collections-path", place)
    return place
