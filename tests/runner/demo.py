# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`./dev demo`: provision a throwaway host, start a wormhole, and verify that it works."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lab import Host, HostSpec, Lab, LabError
from lab.netns import enter_argv
from lab.spec import Release
from runner.progress import Progress
from runner.proof import Answer, Proof, proofs
from runner.stage import stage_collection

CONTAINER = "wormhole"


def demo(root: Path, release: Release, *, keep: bool, progress: Progress) -> int:
    """Boot a host, provision it, start a wormhole and verify it; return the exit status."""
    with _host(root, HostSpec(release), keep=keep, progress=progress) as (lab, host):
        playbooks = _Playbooks(root, lab, host)
        for playbook in ("provision", "launch"):
            progress(f"ansible-playbook -i hosts wormhole.docker.{playbook}")
            playbooks.run(playbook)
        progress("verifying the connection from inside the container")
        version = host.run("docker version --format '{{.Server.Version}}'").stdout.strip()
        failed = [proof.title for proof in proofs(version, host.name) if not _prove(host, proof)]
        if keep:
            progress(
                f"{host.name} keeps running: open a shell with ./dev lab run {host.name}, remove it with ./dev lab down"
            )
    progress("done" if not failed else "done, with failed checks")
    if failed:
        print(f"\n{len(failed)} checks failed: {'; '.join(failed)}")
        return 1
    print("\nAll checks passed.")
    return 0


@contextmanager
def _host(root: Path, spec: HostSpec, *, keep: bool, progress: Progress) -> Iterator[tuple[Lab, Host]]:
    """Boot a host in the lab that is running, or in a new lab that ends with the demo."""
    if keep or Lab.attach(root=root) is not None:
        lab = Lab.up(root=root, progress=progress)
        host = lab.fresh_host(spec)
        yield lab, host
        if not keep:
            host.destroy()
    else:
        with Lab.owned([spec], root=root, progress=progress) as lab:
            yield lab, lab.hosts[0]


class _Playbooks:
    """Runs the collection's playbooks from a copy of the working tree."""

    def __init__(self, root: Path, lab: Lab, host: Host) -> None:
        self._lab, self._host = lab, host
        self._collections = stage_collection(root)
        # Each host is new, so it gets a new certificate authority.
        self._folder = root / ".dev" / "demo"
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        # An empty file, so that Ansible does not read the user's configuration.
        self._configuration = self._folder / "ansible.cfg"
        self._configuration.touch()
        self._variables = self._folder / "variables.json"
        self._variables.write_text(json.dumps(self._demo_variables()))

    def _demo_variables(self) -> dict[str, Any]:
        return {
            "certificate_authority_directory": str(self._folder / "ca"),
            "wormholes_containers": [{"name": CONTAINER, "image": "wormhole-lab/cli:1"}],
        }

    def run(self, playbook: str) -> None:
        """Run a playbook by its full name, with its output on the terminal."""
        own = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
        done = subprocess.run(
            [
                *enter_argv(self._lab),
                "ansible-playbook",
                f"--inventory={self._lab.inventory_path}",
                f"--limit={self._host.name}",
                f"--extra-vars=@{self._variables}",
                f"wormhole.docker.{playbook}",
            ],
            env={
                **own,
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                "ANSIBLE_CONFIG": str(self._configuration),
                "ANSIBLE_COLLECTIONS_PATH": str(self._collections),
                "ANSIBLE_HOME": str(self._folder / "ansible"),
                "ANSIBLE_DISPLAY_SKIPPED_HOSTS": "false",
            },
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        if done.returncode:
            raise LabError(
                f"the playbook wormhole.docker.{playbook} failed on {self._host.name}",
                found=f"exit status {done.returncode}, with the output above",
                remedy="run ./dev demo --keep to keep the host running and inspect it",
            )


def _prove(host: Host, proof: Proof) -> bool:
    """Run a check in the container, print the result, and return whether it passed."""
    done = host.run(f"docker exec {CONTAINER} sh -c {shlex.quote(proof.command)}", check=False)
    answer = Answer(done.returncode, (done.stdout + done.stderr).strip())
    holds = proof.holds(answer)
    print(f"\n{'PASSED' if holds else 'FAILED'}  {proof.title}")
    for line in answer.output.splitlines():
        print(f"        {line}")
    if not holds:
        print(f"        expected: {proof.expected}; found: exit status {answer.status} and the output above")
    return holds
