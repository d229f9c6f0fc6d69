# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a policy decides about a call, and what it has to know for that."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal, Mapping, Optional, Tuple, Union

from .._base.labels import LABEL_PREFIX
from .call import Call, Json

LABEL_OWNER = LABEL_PREFIX + "owner"
"""The label with the identity that created a container, a network, a volume or an image. Only the gate
sets it."""

Code = Literal[
    "malformed",  # 400: not a request that has one meaning
    "too_large",  # 413
    "unknown_route",  # 403: no table has it
    "root_only",  # 403: known, and no policy but unrestricted has it
    "version",  # 400: a version of the API outside the table
    "unknown_parameter",
    "unknown_field",
    "content_type",
    "power",  # the policy lacks the power for this route
    "not_found",  # 404: it does not exist, or the identity may not know that it does
    "not_owner",  # it may be seen, but not changed
    "field",  # the field is not allowed with any value but its default
    "value",  # a value that no override allows
    "image",
    "bind",
    "volume",
    "network",
    "port",
    "name",
    "label",
    "limit",
    "quota",
    "capability",
    "namespace",
    "restart",
    "build",
    "tag",
    "verb",
    "recreate",
    "too_many_objects",
]
"""Why a call is refused: stable words for the audit log. Every one is 403 unless noted."""


@dataclass(frozen=True)
class Deny:
    """A refusal.

    Attributes:
        status: the HTTP status to answer with.
        code: the reason code.
        problem: what is refused, a sentence without a full stop.
        allowed: what would be allowed, a sentence without a full stop; may be empty.
        setting: the key of ``policy_overrides`` that decides this; empty if none does.
    """

    status: int
    code: Code
    problem: str
    allowed: str = ""
    setting: str = ""


ObjectKind = Literal["container", "network", "volume", "image", "exec", "template", "count"]
CONTAINER: Final = "container"
NETWORK: Final = "network"
VOLUME: Final = "volume"
IMAGE: Final = "image"
EXEC: Final = "exec"
TEMPLATE: Final = "template"
COUNT: Final = "count"


@dataclass(frozen=True)
class Question:
    """Something to ask the engine.

    Attributes:
        kind: the object to inspect by ``reference``. Two kinds are not objects of the engine:
            ``count`` with the reference ``containers``, ``running``, ``networks`` or ``volumes`` asks
            how many of these the identity owns (:attr:`Found.count`), and ``template`` asks for
            the configuration of the container of this name that the identity has removed or renamed
            last (see :attr:`Allow.remember`), or if it has not, of the one that has this name.
        reference: as the client wrote it: a name, an ID or the beginning of one.
    """

    kind: ObjectKind
    reference: str


@dataclass(frozen=True)
class Found:
    """An object of the engine. Only the attributes of its kind are set.

    Attributes:
        id: full ID; for a volume its name.
        name: name, without a slash in front.
        labels: of a container ``Config.Labels``, of an image ``Config.Labels``, else ``Labels``.
        container: of an exec instance, the full ID of its container.
        references: of an image, ``RepoTags`` and ``RepoDigests``.
        networks: of a container, the names of its networks.
        running: of a container, whether it runs. Starting one that does counts against no quota.
        config: of a container or template, the inspected document, if the policy asks for templates.
        count: the answer to ``count``.
    """

    kind: ObjectKind
    id: str = ""
    name: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    container: str = ""
    references: Tuple[str, ...] = ()
    networks: Tuple[str, ...] = ()
    running: bool = False
    config: Json = None
    count: int = 0

    @property
    def owner(self) -> str:
        """The identity that created it; empty if no wormhole did."""
        return self.labels.get(LABEL_OWNER, "")


@dataclass(frozen=True)
class Facts:
    """What is known when a call is decided.

    Attributes:
        me: full ID of the identity's own container; empty if it has none.
        api_version: the engine's newest version of the API, such as ``1.52``; a call without a
            version is forwarded with this one, or the newest of the tables. Empty leaves it away.
        answers: what the engine said; None is "no such object".
    """

    me: str = ""
    api_version: str = ""
    answers: Mapping[Question, Optional[Found]] = field(default_factory=dict)


MAX_ROUNDS = 4
"""After as many answers of :class:`Ask` for one call, the program refuses it: it is a defect."""


@dataclass(frozen=True)
class Ask:
    """The call cannot be decided yet. Answer all questions, add them to the facts, decide again.

    Attributes:
        questions: at most ``decide.MAX_QUESTIONS``, none of which the facts answer.
    """

    questions: Tuple[Question, ...]


TreatmentKind = Literal["pass", "list", "inspect", "events", "created_volume"]
PASS: Final = "pass"
LIST: Final = "list"
INSPECT: Final = "inspect"
EVENTS: Final = "events"
CREATED_VOLUME: Final = "created_volume"

Reach = Literal["own", "targets", "all"]
"""Which objects a power reaches: the identity's own; these and the policy's targets; all."""
OWN: Final = "own"
TARGETS: Final = "targets"
ALL: Final = "all"


@dataclass(frozen=True)
class Sight:
    """Which objects an identity may see, as data for :mod:`_policy.treat`.

    Attributes:
        identity: the identity.
        me: full ID of its own container; may be empty.
        reach: which objects.
        names, labels: the policy's targets (patterns of names; ``key`` or ``key=value``).
        images: patterns of images that can be seen.
        networks: names of networks that can be seen although they are not its own.
        volumes: the same for volumes.
        environment: whether the values of environment variables of others are shown.
    """

    identity: str
    me: str = ""
    reach: Reach = OWN
    names: Tuple[str, ...] = ()
    labels: Tuple[str, ...] = ()
    images: Tuple[str, ...] = ()
    networks: Tuple[str, ...] = ()
    volumes: Tuple[str, ...] = ()
    environment: bool = False


@dataclass(frozen=True)
class Treatment:
    """What to do with the engine's answer.

    Attributes:
        kind: ``pass`` copies it. ``events`` is treated line by line with ``treat.treat_line``. The
            others are read whole and given to ``treat.treat``.
        of: what the answer describes.
        sight: what may be seen.
    """

    kind: TreatmentKind = PASS
    of: ObjectKind = CONTAINER
    sight: Sight = Sight("")


@dataclass(frozen=True)
class Allow:
    """The call may be forwarded.

    Attributes:
        call: what to forward, with full IDs, owner labels and limits. Not always the client's.
        power: the power that allowed it, for the audit log.
        treatment: what to do with the answer.
        hijack: whether the connection becomes a plain copy after the engine's answer.
        object: full ID of the object, for the audit log; empty if there is none.
        remember: full ID of a container whose inspected configuration the program must keep under
            its name (for ``template``) before it forwards the call; empty if none.
        image: the image ID that the created container must have. If its ``Image`` differs, the
            program removes it and refuses (a tag was moved in between). Empty if not to be checked.
        volumes: names of volumes for which to carry out ``decide.create_volume(policy, name)`` before,
            because the engine would create them without their owner's label. If the answer to one
            names another owner, the call is refused.
        serialize: the quotas that this call counts against. Between the count and the engine's
            answer, the program runs no other call of this identity with the same quota.
    """

    call: Call
    power: str
    treatment: Treatment = Treatment()
    hijack: bool = False
    object: str = ""
    remember: str = ""
    image: str = ""
    volumes: Tuple[str, ...] = ()
    serialize: Tuple[str, ...] = ()


Decision = Union[Allow, Deny, Ask]


class Refusal(Exception):
    """Ends a computation of this slice with a refusal. Its entry points return ``deny``.

    Args:
        code: the reason code.
        problem: what is refused, without a full stop.
        allowed: what would be allowed instead (optional).
        setting: the key of ``policy_overrides`` that decides this (optional).
        status: the HTTP status; 403 by default.
    """

    def __init__(
        self, code: Code, problem: str, *, allowed: str = "", setting: str = "", status: int = 403
    ) -> None:
        super().__init__(problem)
        self.deny = Deny(status, code, problem, allowed, setting)
