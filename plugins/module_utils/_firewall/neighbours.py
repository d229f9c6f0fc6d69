# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keep the neighbours of a host from ports of its bridges: a table of nftables of our own.

Linux accepts packets for each of its addresses on every interface. A neighbour with a route to a
bridge's address reaches what listens there. The table drops TCP to these ports unless it comes from
the host itself or from a bridge. It only drops: what it accepts still has to pass the tables of the
host's firewall. No other tool changes it, so that it is the same with every firewall and without.

Rules name no bridge of the engine. They survive a bridge that is removed and created again, and serve
the networks that are created later. They name the bridges that are none of the engine's, and drop
their packets. The kernel does not know the kind of a hardware interface, and any rule about it does
not match. Bridges are therefore accepted and all else is dropped, not the other way round.

What does not hold (measured with systemd 252 and 262):

- ``BindToDevice=docker0`` of the socket unit serves docker0 alone. Containers of other networks use
  its address, too. At boot, systemd binds the socket before the bridge exists, and fails.
- ``IPAddressAllow=`` of the socket unit filters by source address, and keeps neighbours out. The
  subnets of networks that are created later are unknown; their containers cannot connect.
- ``RestrictNetworkInterfaces=`` keeps neighbours out with systemd 262, and has no effect with Debian
  12's systemd 252, which is built without BPF_FRAMEWORK. It resolves the names when the unit starts.

Sources: nft(8); systemd.unit(5); Linux, net/netfilter/nft_meta.c (nft_meta_get_eval_kind).
"""

from __future__ import annotations

import json
import re
from typing import Any, Iterable, Mapping, Optional, Sequence

from .._base.address import SocketAddress
from .model import Restriction
from .nft import RESTRICTING, NftRules
from .unit import LOADERS, MANAGED

UNIT = "wormhole-docker-neighbours.service"
UNIT_PATH = "/etc/systemd/system/" + UNIT
_WANTED_BY = ("multi-user.target", *LOADERS)
LINKS = tuple(f"/etc/systemd/system/{unit}.wants/{UNIT}" for unit in _WANTED_BY)
"""The links that exist while the service is enabled."""

_FAMILY, _TABLE = RESTRICTING
_CHAIN = "input"
_EMPTY = f"add table {_FAMILY} {_TABLE}; delete table {_FAMILY} {_TABLE}"
REMOVE_COMMAND = ["nft", _EMPTY]
"""The command that removes our table, whether it exists or not."""

_OF_ENGINE = re.compile(r"docker0|docker_gwbridge|br-[0-9a-f]{12}")
_NAMEABLE = re.compile(r"[A-Za-z0-9_.:@+-]+")


def other_bridges(present: Iterable[str], of_engine: Iterable[str]) -> tuple[str, ...]:
    """Of the bridges of a host, those that are none of the engine's.

    A bridge with a name that the engine itself chooses counts as its own: the engine creates a bridge
    shortly before it lists the network. A name that nft or systemd would not take literally is left
    out.
    """
    others = set(present).difference(of_engine)
    return tuple(
        sorted(name for name in others if _NAMEABLE.fullmatch(name) and not _OF_ENGINE.fullmatch(name))
    )


def render_unit(restriction: Restriction) -> str:
    """The text of the service that loads our table, before the engine starts."""
    loaders = " ".join(LOADERS)
    return (
        MANAGED + "[Unit]\n"
        "Description=Restriction of the Docker API on bridges to this host and its containers\n"
        f"After={loaders} network.target\n"
        "Before=docker.service\n"
        f"PartOf={loaders}\n"
        f"ReloadPropagatedFrom={loaders}\n"
        "\n"
        "[Service]\n"
        "Type=oneshot\n"
        "RemainAfterExit=true\n"
        f"ExecStart={_render_command(restriction)}\n"
        f"ExecReload={_render_command(restriction)}\n"
        f"ExecStop=nft '{_EMPTY}'\n"
        "TimeoutStartSec=60\n"
        "\n"
        "[Install]\n"
        f"WantedBy={' '.join(_WANTED_BY)}\n"
    )


def parse_unit(text: str) -> Optional[Restriction]:
    """The restriction in the text of our service; None if the text is not as we write it."""
    ports = re.findall(r"^ +ip6? daddr (\S+) tcp dport (\d+) drop;", text, re.MULTILINE)
    bridges = re.search(r"^ +iifname != \{ (.*) \}", text, re.MULTILINE)
    # A unit has each of them twice, to start and to reload.
    found = Restriction(
        tuple(dict.fromkeys(SocketAddress(address, int(port)) for address, port in ports)),
        tuple(re.findall(r'"([^"]+)"', bridges.group(1))) if bridges else (),
    )
    return found if found.ports and text == render_unit(found) else None


def is_in_force(nft: NftRules, restriction: Restriction) -> bool:
    """Whether the kernel has exactly our table for a restriction."""
    chains = {key: rules for key, rules in nft.rules.items() if key[:2] == RESTRICTING}
    bases = [base for base in nft.bases if base.key[:2] == RESTRICTING]
    return (
        list(chains) == [(*RESTRICTING, _CHAIN)]
        and [(base.hook, base.policy) for base in bases] == [("input", "accept")]
        and [_signature(rule.get("expr", ())) for rule in chains[(*RESTRICTING, _CHAIN)]]
        == list(map(_signature, _expressions(restriction)))
    )


def _render_command(restriction: Restriction) -> str:
    """The command that replaces our table in one step."""
    names = ", ".join(f'"{name}"' for name in restriction.bridges)
    excluded = f"iifname != {{ {names} }} " if names else ""
    lines = [
        f"nft '{_EMPTY};",
        f"table {_FAMILY} {_TABLE} {{ chain {_CHAIN} {{",
        "    type filter hook input priority filter - 5; policy accept;",
        '    iifname "lo" accept;',
        f'    {excluded}meta iifkind "bridge" accept;',
        *(
            f"    {_family(port.host)} daddr {port.host} tcp dport {port.port} drop;"
            for port in restriction.ports
        ),
        "}; }'",
    ]
    return " \\\n    ".join(lines)


def _expressions(restriction: Restriction) -> list[list[Mapping[str, Any]]]:
    """The rules of our table, as nft describes them."""

    def match(left: Mapping[str, Any], right: Any, operator: str = "==") -> Mapping[str, Any]:
        return {"match": {"op": operator, "left": left, "right": right}}

    def payload(protocol: str, name: str) -> Mapping[str, Any]:
        return {"payload": {"protocol": protocol, "field": name}}

    accept, drop = {"accept": None}, {"drop": None}
    name, others = {"meta": {"key": "iifname"}}, {"set": list(restriction.bridges)}
    excluded = [match(name, others, "!=")] if restriction.bridges else []
    return [
        [match(name, "lo"), accept],
        [*excluded, match({"meta": {"key": "iifkind"}}, "bridge"), accept],
        *(
            [
                match(payload(_family(port.host), "daddr"), port.host),
                match(payload("tcp", "dport"), port.port),
                drop,
            ]
            for port in restriction.ports
        ),
    ]


def _signature(expression: Sequence[Mapping[str, Any]]) -> list[str]:
    """A rule as text that does not depend on how nft orders and writes sets."""
    return [json.dumps(_normalised(statement), sort_keys=True) for statement in expression]


def _normalised(value: Any) -> Any:
    if isinstance(value, dict):
        members = value.get("set")
        if isinstance(members, list):
            # nft may print a set of one element as the element.
            return members[0] if len(members) == 1 else {"set": sorted(map(str, members))}
        return {key: _normalised(inner) for key, inner in value.items()}
    return value


def _family(address: str) -> str:
    return "ip6" if ":" in address else "ip"
