# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keep the access of existing wormholes when the gate takes the place of dockerd.

dockerd has accepted each of their certificates. The gate knows identities with a policy only.
"""

from __future__ import annotations

import json
import os
from typing import Any, Iterable

from ..._access.io.changes import apply_access
from ..._access.model import RemovePolicy, WritePolicy
from ..._access.spec import UNRESTRICTED, AccessSpec
from ..._base.labels import LABEL_ENGINE, LABEL_IDENTITY, LABEL_IDENTITY_DIRECTORY, LABEL_TRANSPORT
from ..._certificates.facts import CERTIFICATE_FILE
from ..._engine.port import EnginePort
from ..._gate import places
from ..model import Admission


def find_unadmitted(engine: EnginePort) -> tuple[Admission, ...]:
    """The identities of wormholes that use the engine of this host by TLS, and have no policy."""
    found: dict[str, set[str]] = {}
    for container in engine.containers(labels={LABEL_TRANSPORT: "tls", LABEL_IDENTITY: None}):
        labels = container.get("Labels") or {}
        identity, directory = str(labels[LABEL_IDENTITY]), str(labels.get(LABEL_IDENTITY_DIRECTORY, ""))
        certificate = os.path.join(directory, CERTIFICATE_FILE)
        known = not places.is_identity(identity) or os.path.lexists(places.policy_path(identity))
        if directory and not known and LABEL_ENGINE not in labels and os.path.isfile(certificate):
            found.setdefault(identity, set()).add(certificate)
    return tuple(Admission(name, tuple(sorted(found[name]))) for name in sorted(found))


def find_policed(directory: str = places.POLICIES) -> tuple[str, ...]:
    """The identities whose policies limit clients with certificates, which dockerd would not.

    One whose file cannot be read counts, because the gate gives it no access.
    """
    try:
        names = sorted(os.listdir(directory))
    except OSError:
        return ()
    identities = [name[: -len(places.SUFFIX)] for name in names if name.endswith(places.SUFFIX)]
    return tuple(
        name
        for name in identities
        if places.is_identity(name) and _limits(places.policy_path(name, directory))
    )


def _limits(path: str) -> bool:
    try:
        with open(path, "rb") as stream:
            document: Any = json.load(stream)
        return bool(document["certificates"]) and document["policy"]["preset"] != UNRESTRICTED
    except FileNotFoundError:
        return False
    except (OSError, ValueError, KeyError, TypeError):
        return True


def admit(admissions: Iterable[Admission]) -> None:
    """Give each identity a policy that allows everything.

    Raises:
        WormholeError: a certificate cannot be read, or a policy cannot be written.
    """
    for admission in admissions:
        document = AccessSpec(admission.identity).document
        apply_access([WritePolicy(admission.identity, document, admission.certificates)])


def dismiss(identities: Iterable[str]) -> None:
    """Remove the policies of these identities."""
    apply_access([RemovePolicy(identity) for identity in identities])
