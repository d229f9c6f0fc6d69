# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Part ``integration``: tests against real hosts of all Debian releases, booted in the lab for
this run.

The contract tests of the engine adapter, and the targets below tests/integration/targets
(``ansible-test integration`` over SSH), share one host of each release. The scenarios of
tests/system run file by file. Unless the run is thorough, a quarter of the targets and a sample of the
scenarios run, each on one release, selected by the seed. The older ansible-core is used with the
older release, the newer one with the newer.

A release that moves may have a day on which its images cannot be built. Then its steps are skipped,
and the run goes on with the others.
"""

from __future__ import annotations

import contextlib
import functools
import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from lab import Host, HostSpec, Lab, LabError, lifecycle, netns
from lab.limits import engine_with_limits
from lab.paths import LabPaths
from lab.spec import DEBIAN, RELEASES, STABLE, Release
from runner import ansible_test, tools
from runner.ansible_test import AnsibleTest, Core
from runner.steps import ROOT, Action, Failed, Lane, Log, Outcome, Settings, Step, passed_if
from runner.turns import SHARING, take_share, take_turn


@dataclass
class Hosts:
    """The hosts of this run.

    A lab that was started with ``./dev lab up`` is used and keeps running. Its hosts are not used:
    the hosts of this run are new, and are removed at the end.
    """

    images_ready: threading.Event = field(default_factory=threading.Event)
    images_error: str = ""
    moving_ready: threading.Event = field(default_factory=threading.Event)
    obstacles: dict[Release, str] = field(default_factory=dict)
    """Why a moving release has no hosts in this run; "" if it has."""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _checking: threading.Lock = field(default_factory=threading.Lock)
    _installing: threading.Lock = field(default_factory=threading.Lock)
    _exits: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    _lab: Lab | None = None
    _hosts: dict[Release, Host] = field(default_factory=dict)
    _artefacts: dict[Release, Path] = field(default_factory=dict)

    def lab(self) -> Lab:
        """Return the lab. Wait for the images, and start the lab if none is running."""
        self.images_ready.wait()
        if self.images_error:
            raise Failed(f"the lab's images could not be built: {self.images_error}")
        with self._lock:
            if self._lab is None:
                self._lab = Lab.attach(root=ROOT) or self._exits.enter_context(Lab.owned(root=ROOT))
            return self._lab

    def obstacle(self, release: Release) -> str:
        """Return why a moving release has no hosts in this run: its images cannot be built.

        Wait for the images. For all other releases, this is an error of the run.
        """
        if not DEBIAN[release].moving:
            return ""
        self.moving_ready.wait()
        with self._checking:
            if release not in self.obstacles:
                self.obstacles[release] = _error_of(lambda: self.lab().build(HostSpec(release)))
        return self.obstacles[release]

    def host(self, release: Release) -> Host:
        """Return the host of a release that contract and targets share, one after the other."""
        lab = self.lab()
        with self._lock:
            if release not in self._hosts:
                host = lab.fresh_host(HostSpec(release))
                self._exits.callback(host.destroy)
                self._hosts[release] = host
            return self._hosts[release]

    def artefact(self, release: Release, install: Callable[[], Path]) -> Path:
        """Return where the collection is installed for the scenarios on a release.

        The first call installs it.
        """
        with self._installing:
            if release not in self._artefacts:
                self._artefacts[release] = install()
            return self._artefacts[release]

    def clear(self) -> None:
        with self._lock:
            self._exits.close()


_hosts_of_run = Hosts()


def prepare(log: Log, say: Callable[[str], None]) -> None:
    """Start to build the hosts' images in the background, while other parts run."""

    threading.Thread(
        target=build_images, args=(_hosts_of_run, log, lambda text: _report(text, log, say)), daemon=True
    ).start()


def build_images(hosts: Hosts, log: Log, progress: Callable[[str], None]) -> None:
    """Build the images of the stable releases, which a run requires, and then those of the others."""
    paths = LabPaths(ROOT)
    try:
        lifecycle.prepare(paths, STABLE, progress)
    except Exception as error:
        hosts.images_error = str(error)
        log.write(str(error))
    finally:
        hosts.images_ready.set()
    try:
        for release in set(RELEASES) - set(STABLE):
            obstacle = _error_of(functools.partial(lifecycle.prepare, paths, [release], progress))
            if obstacle:
                hosts.obstacles[release] = obstacle
                progress(f"the images of Debian {release} cannot be built: its tests are skipped")
                log.write(obstacle)
    finally:
        hosts.moving_ready.set()


def _error_of(build: Callable[[], object]) -> str:
    """Return the error of a build; "" if it succeeds."""
    try:
        build()
    except LabError as error:
        return str(error)
    return ""


def _report(text: str, log: Log, say: Callable[[str], None]) -> None:
    log.write(text)
    say(f"{'lab':<12} {text}")


def clean_up() -> None:
    """Remove the hosts of this run, and the lab if this run started it."""
    _hosts_of_run.clear()


def lanes(settings: Settings) -> list[Lane]:
    cores, _remarks = ansible_test.cores()
    if not cores:
        return []
    core_of = {release: cores[min(position, len(cores) - 1)] for position, release in enumerate(RELEASES)}
    try:
        scenarios = [
            _on(release, number, _scenarios(release, core_of[release], file))
            for (release, file), number in scenario_files(settings).items()
        ]
    except Failed as error:
        scenarios = [Step("integration", "the list of the scenarios", _failure(str(error)))]
    # Long steps come first, so that no thread runs one alone at the end.
    return [
        *(_shared_host(settings, release, core) for release, core in core_of.items()),
        *([step] for step in scenarios),
        [Step("integration", "the lab itself", _lab_itself)],
    ]


def _failure(text: str) -> Action:
    def action(_settings: Settings, _log: Log) -> Outcome:
        raise Failed(text)

    return action


def _on(release: Release, number: int, step: Step) -> Step:
    """Skip a step with this number of tests if its release has no hosts in this run."""

    def action(settings: Settings, log: Log) -> Outcome:
        obstacle = _hosts_of_run.obstacle(release)
        if obstacle:
            log.write(obstacle)
            return Outcome(skipped=number, note=f"the images of Debian {release} cannot be built")
        return step.action(settings, log)

    return replace(step, action=action)


def _shared_host(settings: Settings, release: Release, core: Core) -> Lane:
    steps = [Step("integration", f"a host of Debian {release}", _boot(release))]
    if (ROOT / "tests/contract").is_dir():
        limits = take_turn("contract", RELEASES, settings.seed) == release
        for limited in (False, True) if settings.thorough else (limits,):
            kind = "that limits" if limited else "without controllers"
            name = f"contract with the engine of Debian {release} {kind}"
            steps.append(Step("integration", name, _contract(release, limited)))
    targets = [path.name for path in (ROOT / "tests/integration/targets").iterdir() if path.is_dir()]
    for target in sorted(targets):
        if settings.thorough or take_share(f"group {target}", RELEASES, SHARING, settings.seed) == release:
            steps.append(
                Step("integration", f"{target} on Debian {release}, {core}", _target(release, core, target))
            )
    return [_on(release, 1, step) for step in steps]


def scenario_files(settings: Settings) -> dict[tuple[Release, str], int]:
    """Return the scenario files by the releases that they run on, with their numbers of scenarios.
    Files with the most scenarios come first.

    Raises:
        Failed: pytest cannot collect one of them.
    """
    numbers: dict[tuple[Release, str], int] = {}
    for release in RELEASES:
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
    return dict(sorted(numbers.items(), key=lambda item: (-item[1], item[0][1], item[0][0])))


_VERSIONS = r"""
docker version --format 'Docker {{.Server.Version}} (API {{.Server.APIVersion}})'
python3 --version
python3 -c "import cryptography, docker
print('cryptography', cryptography.__version__), print('Docker SDK', docker.__version__)"
systemctl --version | sed -nE 's/^systemd ([0-9]+).*/systemd \1/p'
nft --version | cut -d' ' -f1,2
"""
"""Prints the versions on a host, one a line."""


def _boot(release: Release) -> Action:
    def action(_settings: Settings, log: Log) -> Outcome:
        log.write("waiting for the lab's images, then booting")
        host = _hosts_of_run.host(release)
        return Outcome(passed=1, note=f"{host.name}: {', '.join(host.run(_VERSIONS).stdout.splitlines())}")

    return action


def _lab_itself(settings: Settings, log: Log) -> Outcome:
    """Run the lab's tests, which start and stop their own labs, outside the lab's network."""
    _hosts_of_run.images_ready.wait()
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
    """Run pytest in the lab's network, or outside it, and count its tests."""
    report = log.path.with_suffix(".xml")
    place = settings.root / path
    rootdir = place if place.is_dir() else place.parent
    prefix: list[str | Path] = [] if outside else [*netns.enter_argv(_hosts_of_run.lab())]
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
    """Return the environment variables for tests."""
    return {
        "PYTHONPATH": f"{settings.collections}:{settings.root / 'tests'}",
        "WORMHOLE_COLLECTIONS": str(settings.collections),
        "WORMHOLE_SEED": str(settings.seed),
        **({"WORMHOLE_THOROUGH": "1"} if settings.thorough else {}),
    }


def _contract(release: Release, limited: bool) -> Action:
    def action(settings: Settings, log: Log) -> Outcome:
        binaries = tools.environment(settings, log, DEBIAN[release].sdk)
        lab, host = _hosts_of_run.lab(), _hosts_of_run.host(release)
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
        host = _hosts_of_run.host(release)
        host.authorize(_key(program.home, program.root, log))
        # The number of the times that consecutive seeds have selected this target on this release before.
        facts = {"lab_turn": settings.seed // (SHARING * len(RELEASES)), "lab_thorough": settings.thorough}
        (program.root / "tests/integration/integration_config.yml").write_text(json.dumps(facts))
        # The target comes first: after some options, it would be read as their argument.
        command = ["integration", target, "--color", "no", "--allow-destructive", "--controller"]
        command += [
            f"origin:python={core.python}",
            "--target",
            f"ssh:root@{host.address},python={DEBIAN[release].python}",
        ]
        status = program.run(command, prefix=netns.enter_argv(_hosts_of_run.lab()))
        return passed_if(status == 0 and "PLAY RECAP" in log.text())

    return action


def _key(home: Path, tree: Path, log: Log) -> str:
    """Return the public key that ansible-test logs in with.

    Create the key pair as ansible-test does, if it is missing.
    """
    key = home / ".ansible/test/id_rsa"
    public = key.with_suffix(".pub")
    if not public.exists():
        key.unlink(missing_ok=True)
        command: list[str | Path] = ["ssh-keygen", "-q", "-m", "PEM", "-t", "rsa", "-N", "", "-f", key]
        if log.run(command, cwd=home) != 0:
            raise Failed("the SSH key for ansible-test could not be created")
    for copy in (tree / "tests/output/.tmp").glob("id_rsa*"):
        copy.unlink()
    return public.read_text().strip()


def _scenarios(release: Release, core: Core, file: str) -> Step:
    def action(settings: Settings, log: Log) -> Outcome:
        python = tools.interpreters()[core.python]
        binaries = tools.environment(settings, log, core.name, python)
        variables: dict[str, str | Path] = {
            "WORMHOLE_ANSIBLE": binaries,
            "WORMHOLE_COLLECTIONS": _hosts_of_run.artefact(
                release, lambda: _install_artefact(settings, log, binaries, release)
            ),
        }
        _hosts_of_run.lab()
        # Runs outside the lab's network, and starts playbooks inside it: so a scenario can reach a
        # host that is cut off from the controller, and build images.
        options = ["--release", str(release)]
        return _pytest(settings, log, Path(sys.executable), file, options, variables, outside=True)

    return Step("integration", f"{Path(file).stem} on Debian {release}, {core}", action)


def _install_artefact(settings: Settings, log: Log, binaries: Path, release: Release) -> Path:
    """Build the collection and install it, as users do. The scenarios use this installation."""
    place = settings.work / f"artefact-{release}"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    galaxy: list[str | Path] = [binaries / "ansible-galaxy", "collection"]
    env = tools.plain_environment(binaries, HOME=place, ANSIBLE_HOME=place / "ansible")

    def run(*command: str | Path) -> None:
        if log.run([*galaxy, *command], cwd=place, env=env, timeout=300) != 0:
            raise Failed(f"ansible-galaxy collection {command[0]} failed")

    run("build", settings.stage, "--output-path", place)
    run("install", next(place.glob("wormhole-docker-*.tar.gz")), "--offline", "--collections-path", place)
    return place
