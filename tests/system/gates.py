# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Installs the gate on a host, from the files of the collection, and makes calls through it.

This needs no role: the program, the units and the policies are those that the collection renders, and
this module only copies and starts them.
"""

from __future__ import annotations

import importlib
import io
import shlex
import subprocess
import sys
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hosts import GATEWAY

SERVICE = "wormhole-gate.service"
PORT = 2378
TLS = f"{GATEWAY}:{PORT}"
"""Where the gate serves TLS: docker0's address."""

CERTIFICATES = "/srv/gate"
"""Directory of the test's authority, and of each identity's certificate below it."""

_COLLECTION = "ansible_collections/wormhole/docker"
_SLICES = "ansible_collections.wormhole.docker.plugins.module_utils"
SERVER = "/etc/wormhole/server"
"""Directory of the gate's certificate and key, which only root can read."""
_IDENTITY = "wormhole.docker.identity"

_AUTHORITY = f"""
set -e; umask 077; mkdir -p {CERTIFICATES} {SERVER}; cd {CERTIFICATES}
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj '/CN=gate test' \
    -addext keyUsage=critical,keyCertSign -keyout ca.key -out ca.pem
cp ca.pem {SERVER}/ca.pem; chmod 0755 /etc/wormhole
"""

_SERVER_CERTIFICATE = f"""
set -e; umask 077; cd {CERTIFICATES}
openssl req -x509 -CA ca.pem -CAkey ca.key -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
    -subj /CN=gate -addext basicConstraints=critical,CA:false -addext extendedKeyUsage=serverAuth \
    -addext subjectAltName=IP:{GATEWAY} -keyout key.new -out cert.new
openssl x509 -in cert.new -noout -serial
mv key.new {SERVER}/key.pem; mv cert.new {SERVER}/cert.pem
"""

_CERTIFICATE = """
set -e; umask 077; mkdir -p NAME
openssl req -x509 -CA ca.pem -CAkey ca.key -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
    -subj /CN=NAME -addext basicConstraints=critical,CA:false -addext extendedKeyUsage=clientAuth \
    -keyout NAME/key.pem -out NAME/cert.pem
cp ca.pem NAME/ca.pem
openssl x509 -in NAME/cert.pem -outform DER | sha256sum | cut -d' ' -f1
"""


class Gate:
    """The gate of a host.

    Args:
        host: the host. Its engine is not touched.
        collections: directory with ``ansible_collections``.
    """

    def __init__(self, host: Any, collections: Path) -> None:
        self.host = host
        self._root = collections / _COLLECTION
        if str(collections) not in sys.path:
            sys.path.insert(0, str(collections))
        self._units = importlib.import_module(f"{_SLICES}._gate.units")
        self._config = importlib.import_module(f"{_SLICES}._gate.config")
        self._identities = importlib.import_module(f"{_SLICES}._gate.identities")
        self._program_file = importlib.import_module(f"{_SLICES}._gate.program_file")
        self._address = importlib.import_module(f"{_SLICES}._base.address")

    def install(self, identities: Mapping[str, int], *, tls: bool = False, certificate: bool = True) -> None:
        """Install and start the gate, with a unix socket for each identity.

        Args:
            identities: name, and number of the user that its container runs as.
            tls: whether it also serves TLS, by the test's authority.
            certificate: whether it has a certificate when it starts.
        """
        units = self._units
        settings = self._config.GateConfig(tls=SERVER if tls else None)
        sockets = self._sockets(identities)
        if tls:
            address = self._address.SocketAddress(GATEWAY, PORT)
            sockets[units.tls_unit(address)] = units.render_tls(address)
        rendered = {
            **sockets,
            units.SERVICE: units.render_service(settings),
            units.DOOR: units.render_door(),
            units.CERTIFICATE_PATH: units.render_certificate_path(SERVER),
            units.CERTIFICATE_SERVICE: units.render_certificate_service(),
        }
        self.host.run(f"useradd --system --user-group --no-create-home {units.USER}")
        self._unpack(
            {
                units.PROGRAM: self._program(),
                self._config.PATH: self._config.render_config(settings).encode(),
                **{units.unit_path(name): text.encode() for name, text in rendered.items()},
            }
        )
        if tls:
            self.host.run(_AUTHORITY)
            if certificate:
                self.renew()
        self.host.run(f"mkdir -p {self._config.POLICIES}; systemctl daemon-reload")
        watched = [units.CERTIFICATE_PATH] if tls else []
        self.host.run(["systemctl", "start", *sockets, units.SERVICE, *watched])

    def add(self, identities: Mapping[str, int]) -> None:
        """Add unix sockets while the gate runs. It is not restarted."""
        sockets = self._sockets(identities)
        self._unpack({self._units.unit_path(name): text.encode() for name, text in sockets.items()})
        self.host.run("systemctl daemon-reload")
        self.host.run(["systemctl", "start", *sockets])

    def remove(self, identities: Sequence[str]) -> None:
        """Remove unix sockets while the gate runs."""
        sockets = [self._units.unix_unit(name) for name in identities]
        self.host.run(["systemctl", "stop", *sockets])
        self.host.run(["rm", *map(self._units.unit_path, sockets)])
        self.host.run("systemctl daemon-reload")

    def renew(self) -> str:
        """Issue another server certificate, as a module does; return its serial number as openssl prints it."""
        return str(self.host.run(_SERVER_CERTIFICATE).stdout).strip()

    def _sockets(self, identities: Mapping[str, int]) -> dict[str, str]:
        units = self._units
        return {units.unix_unit(name): units.render_unix(name, user) for name, user in identities.items()}

    def _program(self) -> bytes:
        slices = self._root / "plugins/module_utils"
        names = self._program_file.program_files(
            str(path.relative_to(slices)) for path in slices.rglob("*.py")
        )
        files = {target: (slices / name).read_bytes() for name, target in names.items()}
        entry = (self._root / "files" / self._program_file.ENTRY_POINT).read_bytes()
        return bytes(self._program_file.pack_program({**files, "__main__.py": entry}))

    def _unpack(self, contents: Mapping[str, bytes]) -> None:
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w") as archive:
            for path, content in contents.items():
                entry = tarfile.TarInfo(path.lstrip("/"))
                entry.size, entry.mode = len(content), 0o644
                archive.addfile(entry, io.BytesIO(content))
        unpack = self.host.ssh_argv("umask 022; tar -x -C / --no-same-permissions")
        subprocess.run(unpack, input=stream.getvalue(), check=True, timeout=60)

    def permit(self, name: str, preset: str, *certificates: str, **overrides: Any) -> None:
        """Write the policy of an identity as a module would: by renaming a new file over it."""
        policy = {"identity": name, "preset": preset, "overrides": overrides}
        path = f"{self._config.POLICIES}/{name}.json"
        self.host.write(f"{path}.new", self._identities.render_identity(policy, certificates))
        self.host.run(["mv", f"{path}.new", path])

    def revoke(self, name: str) -> None:
        """Take all access from an identity."""
        self.host.run(["rm", f"{self._config.POLICIES}/{name}.json"])

    def certificate(self, name: str) -> str:
        """Issue a certificate; return its fingerprint."""
        script = _CERTIFICATE.replace("NAME", shlex.quote(name))
        return str(self.host.run(f"cd {CERTIFICATES}; {script}").stdout).strip()

    def open_wormhole(self, name: str, image: str = "wormhole-lab/cli:1", *options: str) -> None:
        """Start a container of this name that uses the unix socket of the identity of this name."""
        mount = f"{Path(self._units.socket_path(name)).parent}:/run/wormhole:ro"
        self.host.run(
            f"docker run -d --name {name} --label {_IDENTITY}={name} -v {mount} --network none "
            f"-e DOCKER_HOST=unix:///run/wormhole/docker.sock {' '.join(options)} {image}"
        )

    def open_tls_wormhole(self, name: str, identity: str) -> None:
        """Start a container that uses TLS, with the certificate of this name."""
        self.host.run(
            f"docker run -d --name {name} --label {_IDENTITY}={identity} -v {CERTIFICATES}/{name}:/certs:ro "
            f"-e DOCKER_HOST=tcp://{TLS} -e DOCKER_TLS_VERIFY=1 -e DOCKER_CERT_PATH=/certs wormhole-lab/cli:1"
        )

    def socket(self, name: str) -> str:
        """Return the path of an identity's socket on the host."""
        return str(self._units.socket_path(name))

    def pid(self) -> str:
        """The process of the gate."""
        return str(self.host.run(f"systemctl show {SERVICE} -p MainPID --value").stdout).strip()

    def journal(self) -> str:
        """What the gate has logged."""
        return str(self.host.run(f"journalctl --no-pager -q -o cat -u {SERVICE}").stdout)


def said(host: Any, container: str, command: str) -> tuple[int, str]:
    """Run a shell command in a container; return its exit status and what its user reads."""
    done = host.run(f"docker exec {container} sh -c {shlex.quote(command + ' 2>&1')}", check=False)
    return done.returncode, (done.stdout + done.stderr).strip()


def all_said(host: Any, container: str, commands: Sequence[str]) -> list[tuple[int, str]]:
    """Run shell commands in a container, one after the other; return the same of each."""
    script = "".join(
        f"text=$(timeout 60 sh -c {shlex.quote(command)} 2>&1 </dev/null); printf '%s %s\\036' $? \"$text\"\n"
        for command in commands
    )
    done = host.run(f"docker exec -i {container} sh", input=script, timeout=600)
    pairs = [answer.partition(" ") for answer in done.stdout.split("\036")[:-1]]
    return [(int(code), text.strip()) for code, _space, text in pairs]
