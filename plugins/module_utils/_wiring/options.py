# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Parses the options of how a wormhole reaches its engine, which several modules share.

The fragment wormhole.docker.wiring documents them. :func:`_wiring.wire.wire` turns the result into
options of a container.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import replace
from typing import Any, Iterable, Mapping, Optional

from .._access import spec as access_spec
from .._access.spec import AccessSpec
from .._base.errors import InvalidInput
from .._certificates.facts import CERTIFICATE_FILE
from .._certificates.scope import file_name
from .._container.attachments import Attachment
from .._container.names import parse_user, reject_nul
from .._engine.security import is_unlabelled
from . import spec as wiring_spec
from .spec import DISCOVERIES, LAUNCH, RUNTIME, TCP, TLS, TRANSPORTS, UNIX, WiringSpec

IDENTITIES = "/etc/wormhole/identities"
"""The default parent directory of identities."""

_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|[0-9A-Fa-f:]+(:[0-9.]+)?")
"""Host names (RFC 1123) and addresses of both families, without a zone."""

ARGUMENTS: Mapping[str, Any] = {
    "transport": {"type": "str", "choices": list(TRANSPORTS), "default": TLS},
    "identity": {"type": "str"},
    "identity_directory": {"type": "path"},
    "certificate_path": {"type": "str", "default": "/certs"},
    "port": {"type": "int", "default": 2376},
    "engine": {"type": "str"},
    "engine_address": {"type": "str"},
    "insecure_plaintext_port": {"type": "int"},
    "testcontainers": {"type": "bool", "default": False},
    "shared_directory": {"type": "path"},
    **access_spec.ARGUMENTS,
}


def parse_wiring(
    params: Mapping[str, Any],
    socket_path: str,
    options: Mapping[str, Any],
    attachments: Iterable[Attachment],
    *,
    isolated: bool = False,
) -> WiringSpec:
    """Parse the options of the wiring.

    Args:
        params: parameters of a module with these options.
        socket_path: the engine's socket on the host.
        options: canonical values of the container's options, see :mod:`_container.options`.
        attachments: networks that the container joins.
        isolated: whether it joins no network at all.

    Raises:
        InvalidInput: a parameter is malformed, or some contradict each other.
    """
    transport: wiring_spec.Transport = params["transport"]
    if transport not in TRANSPORTS:
        raise InvalidInput("transport", expected=" or ".join(TRANSPORTS), found=transport)
    plaintext = params.get("insecure_plaintext_port")
    _check_port("port", params["port"])
    _check_plaintext(transport, plaintext)
    discover: wiring_spec.Discovery = params.get("discover") or LAUNCH
    _check_discovery(discover, transport, bool(params.get("testcontainers")))
    engine, engine_address = _parse_engine(params, transport, discover)
    identity = _parse_identity(str(params.get("identity") or params["name"]))
    # The same name has another identity for another engine.
    own = f"{identity}@{file_name(engine)}" if engine else identity
    directory = params.get("identity_directory") or f"{IDENTITIES}/{own}"
    directory = _parse_directory("identity_directory", directory)
    attachments, working_dir = tuple(attachments), options.get("working_dir", "")
    security, privileged = options.get("security_opts", ()), bool(options.get("privileged"))
    return WiringSpec(
        transport=transport,
        identity=identity,
        identity_directory=directory,
        identity_managed=transport == TLS and bool(params.get("identity_managed")),
        identity_owner=_parse_owner(params, transport),
        certificate_path=_parse_directory("certificate_path", params["certificate_path"]),
        port=params["port"],
        insecure_plaintext_port=plaintext,
        engine=engine,
        engine_address=engine_address,
        socket_path=_normal(socket_path),
        networks=tuple(item.network for item in attachments),
        network_mode="none" if isolated else options.get("network_mode", ""),
        gateway_priorities={item.network: item.gw_priority for item in attachments if item.gw_priority},
        testcontainers=bool(params.get("testcontainers")),
        discover=discover,
        shared_directory=_parse_shared(params.get("shared_directory") or "", working_dir),
        working_dir=working_dir,
        host_users=options.get("userns_mode") == "host",
        unlabelled=is_unlabelled(security, privileged=privileged),
        policy=_parse_policy(params, transport, identity, directory),
    )


def _parse_policy(
    params: Mapping[str, Any], transport: wiring_spec.Transport, identity: str, directory: str
) -> Optional[AccessSpec]:
    """Return the policy with the way to the gate: by a socket, or by a certificate."""
    found = access_spec.parse_access(params, identity)
    if found is None:
        return None
    if found.restricts and transport == TCP:
        problem = f"policy {found.preset} does not work with transport tcp, which has no identities"
        raise InvalidInput("policy", problem=problem, remedy="Use transport unix or tls")
    if found.restricts and params.get("engine"):
        problem = f"policy {found.preset} does not work with engine {params['engine']}: "
        problem += "the policies of an engine are on its own host"
        raise InvalidInput("policy", problem=problem, remedy="Remove policy or engine from the task")
    if transport == UNIX and found.restricts:
        access_spec.reject_long(identity)
        return replace(found, door=True)
    return replace(found, certificates=(f"{directory}/{CERTIFICATE_FILE}",)) if transport == TLS else found


def _check_port(option: str, port: int) -> None:
    if not 1 <= port <= 65535:
        raise InvalidInput(option, expected="a number from 1 to 65535", found=str(port))


def _check_plaintext(transport: wiring_spec.Transport, port: Optional[int]) -> None:
    if transport == TCP and port is None:
        problem = "transport tcp requires the option insecure_plaintext_port"
        remedy = "Set it to the port that dockerd_listener serves in plaintext, or use transport tls or unix"
        raise InvalidInput("transport tcp", problem=problem, remedy=remedy)
    if port is None:
        return
    if transport != TCP:
        subject = "insecure_plaintext_port"
        problem = f"{subject} requires transport tcp, and the task has transport {transport}"
        raise InvalidInput(subject, problem=problem, remedy="Remove it from the task")
    _check_port("insecure_plaintext_port", port)


def _check_discovery(
    discover: wiring_spec.Discovery, transport: wiring_spec.Transport, testcontainers: bool
) -> None:
    if discover not in DISCOVERIES:
        raise InvalidInput("discover", expected=" or ".join(DISCOVERIES), found=discover)
    if discover == RUNTIME and transport == UNIX:
        problem = "discover runtime requires transport tls or tcp: with transport unix, no address can change"
        raise InvalidInput("discover runtime", problem=problem, remedy="Remove discover from the task")
    if discover == RUNTIME and testcontainers:
        problem = "testcontainers requires discover launch, because it sets the host's address at launch"
        raise InvalidInput("testcontainers", problem=problem, remedy="Remove one of both from the task")


def _parse_identity(identity: str) -> str:
    if "/" in identity or identity in (".", ".."):
        subject, remedy = f"identity {identity}", "Set identity_directory to choose the directory"
        raise InvalidInput(subject, problem=f"{subject} is not a plain name", remedy=remedy)
    if identity.startswith("."):
        # A rotation does not look into hidden directories, and .NAME.pending is that of a new key.
        subject, problem = f"identity {identity}", f"The name of identity {identity} begins with a dot"
        raise InvalidInput(
            subject, problem=problem, remedy="Choose a name that begins with another character"
        )
    return identity


def _parse_engine(
    params: Mapping[str, Any], transport: wiring_spec.Transport, discover: wiring_spec.Discovery
) -> tuple[str, str]:
    """Return the name of another host's engine and its address; both are empty without one."""
    engine, address = params.get("engine") or "", params.get("engine_address") or ""
    if not engine and not address:
        return "", ""
    if not engine or not address:
        missing = "engine_address" if engine else "engine"
        remedy = "Set engine to the name of the host in the inventory, and engine_address to an address in its listener_host_addresses"
        raise InvalidInput(missing, problem=f"{missing} is missing", remedy=remedy)
    if transport != TLS or discover == RUNTIME:
        problem = (
            f"engine {engine} is the engine of another host, which requires transport tls and discover launch"
        )
        raise InvalidInput("engine", problem=problem, remedy="Remove transport and discover from the task")
    if _HOST_NAME.fullmatch(address) is None:
        raise InvalidInput("engine_address", expected="an IP address or a host name", found=repr(address))
    return engine, address


def _parse_owner(params: Mapping[str, Any], transport: wiring_spec.Transport) -> str:
    owner = params.get("identity_owner") or ""
    if owner and (transport != TLS or not params.get("identity_managed")):
        problem = "identity_owner requires transport tls and identity_managed: true"
        raise InvalidInput("identity_owner", problem=problem, remedy="Remove it from the task")
    if owner and not owner.partition(":")[0]:
        expected = "a user ID, or a name in /etc/passwd of the image"
        raise InvalidInput("identity_owner", expected=expected, found=repr(owner))
    reject_nul("identity_owner", owner)
    return parse_user("identity_owner", owner)


def _parse_shared(path: str, working_dir: str) -> str:
    if not path:
        return ""
    directory = _parse_directory("shared_directory", path)
    if working_dir and working_dir != directory and not working_dir.startswith(directory + "/"):
        subject = f"working_dir {working_dir}"
        problem = f"{subject} is not in the shared_directory {directory}"
        remedy = "Remove it from the task, or replace shared_directory by a volume"
        raise InvalidInput(subject, problem=problem, remedy=remedy)
    return directory


def _parse_directory(option: str, path: str) -> str:
    """Return a directory in its normal form, by which volumes are compared."""
    directory = _normal(path)
    if not path.startswith("/") or ":" in path or directory == "/":
        raise InvalidInput(option, expected="an absolute path below /, without a colon", found=path)
    return directory


def _normal(path: str) -> str:
    # normpath keeps two leading slashes, which POSIX permits to mean something else.
    return "/" + posixpath.normpath(path).lstrip("/")
