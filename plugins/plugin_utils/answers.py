# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read what a managed host answers to a module.

A host may answer whatever it likes. Only keys on a list are read, which are the documented ones and
those that the action plugins ask for. Whatever steers the controller, or a later task, has to have
its type and must not be too large. Facts are dropped: Ansible prefers them to the inventory's
variables, so they could change what later tasks have signed.
"""

from __future__ import annotations

import re
from typing import Any, Callable, Collection, Mapping, Optional

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import VerificationFailed

MAXIMUM_NUMBER = 1000
"""How many requests, names or sections are read. A host has one server and one identity for each
wormhole."""
MAXIMUM_LENGTH = 65536
"""Length of a certificate or a request. A request with an RSA key of 4096 bits has 1,600 characters."""

Check = Callable[[Any], None]
"""Raises ValueError with what was expected."""


# -- types --


def _anything(value: Any) -> None:
    """What is only reported."""


def _flag(value: Any) -> None:
    if not isinstance(value, bool):
        raise ValueError("true or false")


def _text(value: Any) -> None:
    if not isinstance(value, str) or len(value) > MAXIMUM_LENGTH:
        raise ValueError(f"a text of at most {MAXIMUM_LENGTH} characters")


def _list(value: Any) -> None:
    if not isinstance(value, list):
        raise ValueError("a list")


def _mapping(value: Any) -> None:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise ValueError("a dictionary with texts as keys")


def _few(value: Collection[Any]) -> None:
    if len(value) > MAXIMUM_NUMBER:
        raise ValueError(f"at most {MAXIMUM_NUMBER} elements")


def _texts(value: Any) -> None:
    _list(value)
    _few(value)
    for item in value:
        _text(item)


def _mappings(value: Any, **fields: Check) -> None:
    """A list of dictionaries that all have these fields."""
    _list(value)
    for item in value:
        _mapping(item)
        _fields(item, fields)


def _fields(item: Mapping[str, Any], fields: Mapping[str, Check]) -> None:
    for name, check in fields.items():
        if name not in item:
            raise ValueError(f"{name} in each element")
        try:
            check(item[name])
        except ValueError as error:
            raise ValueError(f"{error} as {name}") from error


def _warnings(value: Any) -> None:
    """Texts, or what ansible-core makes of them."""
    _list(value)
    if any(isinstance(item, (list, dict)) for item in value):
        raise ValueError("a list of texts")


def _invocation(value: Any) -> None:
    """The arguments of the module, which ansible-core adds."""
    _mapping(value)
    _mapping(value.get("module_args", {}))


# -- what steers the controller or a later task --


def _reasons(value: Any) -> None:
    _mappings(value, code=_text, subject=_text, text=_text)


def _wormholes(value: Any) -> None:
    """The wormholes of a list, with their results."""
    _mappings(value, name=_text, failed=_flag, changed=_flag)
    for item in value:
        _reasons(item.get("reasons", []))
        if item["failed"]:
            _fields(item, {"msg": _text})


def _existing_wormholes(value: Any) -> None:
    _mappings(value, name=_text, id=_text, managed=_flag)


SECTIONS = ("engine", "certificates", "gate", "listener", "wormholes")
"""The sections of wormhole_host that a host has. The controller adds section ``authority``."""


def _sections(value: Any) -> None:
    _mappings(value, section=_text, changed=_flag, reasons=_reasons)
    _few(value)
    for item in value:
        if item["section"] not in SECTIONS:
            raise ValueError(f"one of {', '.join(SECTIONS)} as section")
        _wormholes(item.get("wormholes", []))


def _done(value: Any) -> None:
    """Sections that an earlier answer has changed, which the controller adds to the last one."""
    _sections(value)
    for item in value:
        _mapping(item.get("diff", {}))
        _texts(item.get("warnings", []))
        if item["changed"]:
            _fields(item, {"diff": _mapping})


def _gateways(value: Any) -> None:
    """Names for the server's certificate. What they may be is checked with the listener's options."""
    _mappings(value, name=_text)
    _few(value)
    for item in value:
        if not item.keys() <= {"name", "origin", "urgent"}:
            raise ValueError("only name, origin and urgent in each element")
        _text(item.get("origin", ""))
        _flag(item.get("urgent", True))


def _requests(value: Any) -> None:
    """Texts in PEM form by name."""
    _mapping(value)
    _few(value)
    for request in value.values():
        _text(request)
        if not request.isascii():
            raise ValueError("PEM form")


def _public_part(value: Any) -> None:
    """The public part of an authority."""
    _mapping(value)
    _texts(list(value.values()))


def _pairs(value: Any) -> None:
    """The requests of a rotation, each with the certificate to replace."""
    _mapping(value)
    _few(value)
    for pair in value.values():
        _mapping(pair)
        if set(pair) != {"certificate", "request"}:
            raise ValueError("certificate and request in each element")
        _requests(pair)


def _reported(*names: str) -> dict[str, Check]:
    return dict.fromkeys(names, _anything)


_SIBLINGS = ("siblings_removed", "siblings_kept")

COMMON: Mapping[str, Check] = {
    "changed": _flag,
    "failed": _flag,
    "msg": _text,
    "error": _mapping,
    "reasons": _reasons,
    "warnings": _warnings,
    "invocation": _invocation,
    **_reported("diff", "deprecations", "exception", "rc", "unreachable"),
    # If the module could not be run, or runs in the background
    **_reported("module_stdout", "module_stderr", "ansible_job_id", "started", "finished", "results_file"),
}
"""What every module may answer."""

ANSWERS: Mapping[str, Mapping[str, Check]] = {
    "certificate_authority": {
        "authority": _public_part,
        **_reported("certificate", "directory", "subject", "fingerprint_sha256", "not_before", "not_after"),
        **_reported("days_left", "key_type", "rotation", "trust_bundle", "waiting", "obstacle"),
    },
    "certificate_authority_info": _reported(
        *(
            "directory",
            "subject",
            "not_after",
            "days_left",
            "record",
            "certificates",
            "expiring",
            "revoked",
            "hosts",
        )
    ),
    "certificate_revocation": {
        "known": _flag,
        "hosts": _texts,
        "removed_identities": _texts,
        "replacement_required": _flag,
        "drop_required": _flag,
        **_reported("directory"),
    },
    "certificate_rotation": {
        "certificates": _mapping,
        "has_server": _flag,
        "left_alone": _texts,
        "requests": _pairs,
        "restart_required": _flag,
    },
    "certificate_signature": {"authority": _public_part, "issued": _requests},
    "dockerd_listener": _reported(
        *(
            "served_by",
            "endpoints",
            "unix_socket",
            "insecure_endpoints",
            "unreachable_networks",
            "firewall",
            "reloaded",
        ),
        *("gate_reloaded", "restarted", "interrupted", "removed"),
    ),
    "endpoint_info": _reported(
        *("ok", "text", "layers", "endpoint", "gateways", "source", "peer", "protocol", "tls_version"),
        *("matched_name", "certificate", "client_certificate", "anonymous", "client", "api_version"),
        *("engine_version", "engine_id", "engine_name", "server_time", "clock_difference", "missing_names"),
        *("installed_certificate", "loaded", "served_by"),
    ),
    "engine_info": {
        "dockerd": _text,
        "missing_packages": _texts,
        "obstacles": _texts,
        "running": _flag,
        **_reported("python", "libraries", "other_engines"),
    },
    "gateway_info": {
        "subject_alternative_names": _gateways,
        **_reported("default_gateway", "gateways", "without_gateway"),
    },
    "tls_certificates": {
        "certificates": _mapping,
        "left": _mapping,
        "requests": _requests,
        "restart_required": _flag,
    },
    "wormhole_container": {
        "requests": _requests,
        **_reported("container", "certificate", "left", "status", "output", "wormhole", *_SIBLINGS),
    },
    "wormhole_container_info": {"wormholes": _existing_wormholes},
    "wormhole_containers": {"pulls": _texts, "requests": _requests, "wormholes": _wormholes},
    "wormhole_gate": {
        "program_required": _flag,
        **_reported("program_sha256", "identities", "restarted", *_SIBLINGS),
    },
    "wormhole_host": {
        "done": _done,
        "engine_stopped": _flag,
        "gateways": _gateways,
        "packages": _texts,
        "program_required": _flag,
        "pulls": _texts,
        "requests": _requests,
        "sections": _sections,
    },
    "wormhole_policy": _reported("policy", "docker_host", "directory", "compose", "docker_run"),
    "wormhole_policy_info": _reported("installed", "identities", "explanation"),
    "wormhole_wiring_info": _reported(
        *("ready", "obstacle", "remedy", "transport", "address", "port", "identity_directory"),
        *("docker_container", "compose", "compose_yaml", "docker_run", "docker_run_text"),
        "docker_network_connect",
    ),
}
"""What the modules answer, by their names."""


# -- reading --


def read_answer(
    module: str, answer: Mapping[str, Any], host: str, facts: Optional[Mapping[str, Any]] = None
) -> dict[str, Any]:
    """Return what is read of an answer.

    Args:
        module: full name of the module.
        host: name of the host in the inventory, for messages.
        facts: facts that the controller has found itself.

    Raises:
        VerificationFailed: a value is malformed.
    """
    known = {**COMMON, **ANSWERS[module.rpartition(".")[2]]}
    kept: dict[str, Any] = {"ansible_facts": dict(facts)} if facts else {}
    for name, value in answer.items():
        # Names with this prefix are from the controller: Ansible has removed the host's.
        if name in known or name.startswith("_ansible_"):
            try:
                known.get(name, _anything)(value)
            except ValueError as error:
                raise malformed(module, host, f"{name}: expected {error}, found {_shorten(value)}") from error
            kept[name] = value
    if "error" in kept and "msg" not in kept:
        raise malformed(module, host, "error: expected a message with it")
    return kept


def check_requests(module: str, requests: Mapping[str, Any], host: str, known: Collection[str]) -> None:
    """Check which certificates a host requests.

    Args:
        known: names of the certificates that the task issues.

    Raises:
        VerificationFailed: it requests others.
    """
    unknown = sorted(name for name in requests if name not in known)
    if unknown:
        task = "the task does not issue" if known else "the task does not issue, because it issues none"
        told = f"it requests certificates that {task}: {_shorten(', '.join(unknown))}"
        raise malformed(module, host, told)


def malformed(module: str, host: str, problem: str) -> VerificationFailed:
    """The error for an answer that the module does not give."""
    return VerificationFailed(
        f"answer of {host}",
        problem=f"{host or 'The host'} gave a malformed answer to {module}: {problem}",
        remedy="Nothing was signed for it. The module does not answer so: find out what replaced it on this host",
    )


def _shorten(value: Any) -> str:
    text = printable(repr(value))
    return text if len(text) <= 80 else f"{text[:80]}…"


def printable(text: str) -> str:
    """Return a host's text without the control characters that a terminal would obey."""
    return "".join(c if c.isprintable() else " " if c == "\n" else f"\\x{ord(c):02x}" for c in text)


# -- facts --

_VARIABLES = re.compile(r"(__)?(certificate_authority|certificates|identities|listener|rotation|wormholes)_")


def check_facts(variables: Mapping[str, Any], host: str) -> None:
    """Check that no fact of a host stands for a variable of the roles.

    Ansible prefers facts to the variables of the inventory, and any module that runs on a host can
    set them. They would determine what is signed, by which authority, and where.

    Raises:
        VerificationFailed: there are such facts.
    """
    found = sorted(name for name in variables.get("ansible_facts") or () if _VARIABLES.match(name))
    if found:
        raise VerificationFailed(
            f"facts of {host}",
            problem=f"{host} has facts with the names of variables of this collection: {_shorten(', '.join(found))}",
            remedy="Nothing was signed for it. Set these variables in the inventory or in the play, because "
            "every module that runs on a host can return facts",
        )
