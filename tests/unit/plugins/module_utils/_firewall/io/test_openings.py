# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import stat
import subprocess

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._base.address import SocketAddress
from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import (
    ApplyFailed,
    EngineUnavailable,
    Refused,
)
from ansible_collections.wormhole.docker.plugins.module_utils._firewall import (
    neighbours as firewall_neighbours,
)
from ansible_collections.wormhole.docker.plugins.module_utils._firewall import nft as firewall_nft
from ansible_collections.wormhole.docker.plugins.module_utils._firewall import ufw as firewall_ufw
from ansible_collections.wormhole.docker.plugins.module_utils._firewall import unit as firewall_unit
from ansible_collections.wormhole.docker.plugins.module_utils._firewall.io import openings
from ansible_collections.wormhole.docker.plugins.module_utils._firewall.io import ufw as adapter
from ansible_collections.wormhole.docker.plugins.module_utils._firewall.model import (
    COMMENT,
    Hook,
    Opening,
    Placement,
    Restriction,
)
from ansible_collections.wormhole.docker.plugins.module_utils._firewall.nft import BaseChain, NftRules
from ansible_collections.wormhole.docker.plugins.module_utils._firewall.plan import Observed

OPENING = Opening("docker0", "172.17.0.1", 2376)
OTHER = Opening("br-0", "172.18.0.1", 2376)
SSH = (
    "### tuple ### allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in\n-A ufw-user-input -p tcp --dport 22 -j ACCEPT\n\n"
)


class Ufw:
    """ufw reduced to its files: any change rewrites the file with its tuples and nothing else."""

    def __init__(self, path):
        self.path = path
        self.commands = []
        self.fails = False

    def __call__(self, argv, timeout):
        self.commands.append(argv)
        if self.fails:
            return subprocess.CompletedProcess(argv, 1, "", "ERROR: no")
        assert argv[0] == "ufw"
        words = dict(zip(argv[argv.index("on") :: 2], argv[argv.index("on") + 1 :: 2]))
        opening = Opening(words["on"], words["to"], int(words["port"]))
        stanzas = re.findall(r"### tuple ###.*\n-A.*\n\n", self.path.read_text())
        if argv[1] == "delete":
            stanzas = [text for text in stanzas if opening not in firewall_ufw.our_openings(text)]
        else:
            comment = f"comment={COMMENT.encode().hex()}"
            line = f"### tuple ### allow tcp {opening.port} {opening.address} any 0.0.0.0/0 in_{opening.interface}"
            stanzas.insert(0, f"{line} {comment}\n-A ufw-user-input …\n\n")
        self.path.write_text("### RULES ###\n\n" + "".join(stanzas) + "### END RULES ###\n")
        return subprocess.CompletedProcess(argv, 0, "", "")


@pytest.fixture
def rules(tmp_path, monkeypatch):
    path = tmp_path / "user.rules"
    monkeypatch.setattr(firewall_ufw, "RULES_PATHS", {"ip": str(path), "ip6": str(tmp_path / "user6.rules")})
    monkeypatch.setattr(adapter, "SAVED_PATH", str(tmp_path / "state/firewall/ufw.json"))
    monkeypatch.setattr(adapter, "make_directory", lambda name, mode: os.makedirs(name, mode=mode))
    # Tests need not run as root.
    written = adapter.write_file
    owner = {"uid": os.geteuid(), "gid": os.getegid()}
    monkeypatch.setattr(
        adapter,
        "write_file",
        lambda name, content, mode, **_owner: written(name, content, mode=mode, **owner),
    )
    return path


@pytest.fixture
def ufw(rules, monkeypatch):
    fake = Ufw(rules)
    monkeypatch.setattr(adapter, "run", fake)
    return fake


CANONICAL = f"### RULES ###\n\n{SSH}### END RULES ###\n"


@pytest.mark.parametrize("text", [CANONICAL, "# by hand\n" + CANONICAL, "### RULES ###\n", ""])
def test_ufw_has_its_file_back_byte_for_byte(text, rules, ufw, tmp_path):
    rules.write_text(text)
    rules.chmod(0o640)
    adapter.set_ufw_openings([OPENING])
    assert firewall_ufw.our_openings(rules.read_text()) == (OPENING,)
    adapter.set_ufw_openings([OPENING, OTHER])
    adapter.set_ufw_openings([OTHER])
    assert firewall_ufw.our_openings(rules.read_text()) == (OTHER,)
    adapter.set_ufw_openings([])
    assert rules.read_text() == text
    assert stat.S_IMODE(rules.stat().st_mode) == 0o640
    assert [path.name for path in tmp_path.iterdir()] == ["user.rules"]


def test_what_somebody_has_changed_in_the_meantime_is_kept(rules, ufw, tmp_path):
    rules.write_text("# by hand\n" + CANONICAL)
    adapter.set_ufw_openings([OPENING])
    changed = rules.read_text().replace(" 22 ", " 2222 ")
    rules.write_text(changed)
    adapter.set_ufw_openings([])
    assert rules.read_text() == firewall_ufw.without_ours(changed)
    assert not adapter.has_saved()


def test_ufw_is_not_called_for_what_it_has(rules, ufw):
    rules.write_text(CANONICAL)
    adapter.set_ufw_openings([OPENING])
    before = len(ufw.commands)
    adapter.set_ufw_openings([OPENING])
    assert len(ufw.commands) == before == 1


def test_a_decision_of_the_administrators_is_not_replaced(rules, ufw):
    rules.write_text("### tuple ### deny tcp 2376 172.17.0.1 any 0.0.0.0/0 in_docker0\n")
    with pytest.raises(Refused, match="deny"):
        adapter.set_ufw_openings([OPENING])
    assert ufw.commands == []


def test_what_ufw_says_is_told(rules, ufw):
    rules.write_text(CANONICAL)
    ufw.fails = True
    with pytest.raises(ApplyFailed, match="ERROR: no"):
        adapter.set_ufw_openings([OPENING])


# ---- the script, with programs that remember

NFT = """\
#!/bin/sh
case "$*" in
    "-a list chain inet filter input") cat "$STATE/chain" ;;
    "-a list chain inet k8s.v1 svc/a-b_c") cat "$STATE/chain" ;;
    "-f -") cat >>"$STATE/calls" ;;
    *) exit 1 ;;
esac
"""
IPTABLES = """\
#!/bin/sh
echo "$*" >>"$STATE/calls"
case "$*" in
    *" -C "*) test -e "$STATE/there" ;;
    *" -D "*) rm "$STATE/there" ;;
    *" -I "*) touch "$STATE/there" ;;
esac
"""
NATIVE = Placement(Hook("nft", "inet", "filter", "input"), OPENING)
ABSENT = Placement(Hook("nft", "inet", "gone", "input"), OPENING)
OLD = Placement(Hook("iptables-nft", "ip", "filter", "INPUT"), OPENING)
CHAIN = """\
table inet filter {
\tchain input { # handle 1
\t\ttype filter hook input priority filter; policy drop;
\t\ttcp dport 22 accept comment "wormhole.docker is a nice thing" # handle 4
\t\tiifname "docker0" ip daddr 172.17.0.9 tcp dport 2376 accept comment "wormhole.docker" # handle 12
\t}
}
"""
RULE = 'iifname "docker0" ip daddr 172.17.0.1 tcp dport 2376 accept comment "wormhole.docker"'


@pytest.fixture
def script(tmp_path):
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in (("nft", NFT), ("iptables-nft", IPTABLES)):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    (tmp_path / "chain").write_text(CHAIN)
    path = tmp_path / "script"

    def call(action, *placements):
        (tmp_path / "calls").write_text("")
        path.write_text(firewall_unit.render_script(placements))
        env = {"PATH": f"{programs}:{os.environ['PATH']}", "STATE": str(tmp_path)}
        done = subprocess.run(["sh", str(path), action], env=env, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        return (tmp_path / "calls").read_text().splitlines()

    return call


def test_the_script_replaces_ours_in_one_step_and_nobody_elses(script):
    assert script("start", NATIVE, ABSENT) == [
        "delete rule inet filter input handle 12",
        f"insert rule inet filter input {RULE}",
    ]
    assert script("stop", NATIVE, ABSENT) == ["delete rule inet filter input handle 12"]


def test_the_script_speaks_of_chains_whose_names_have_slashes(script):
    chain = Placement(Hook("nft", "inet", "k8s.v1", "svc/a-b_c"), OPENING)
    assert firewall_unit.parse_script(firewall_unit.render_script([chain])) == (chain,)
    assert script("start", chain) == [
        "delete rule inet k8s.v1 svc/a-b_c handle 12",
        f"insert rule inet k8s.v1 svc/a-b_c {RULE}",
    ]


class Nft:
    """nft that has chains of input which drop; records what it is asked for."""

    def __init__(self, family, table, chain, *, knows=True):
        self.key, self.knows, self.calls, self.found = (family, table, chain), knows, [], ()

    def execute(self, argv, text=None):
        self.calls.append((argv, text))
        if "--check" in argv and not self.knows:
            raise EngineUnavailable("nft", problem="syntax error, unexpected accept, expecting string")
        return ""

    def observe(self):
        base = BaseChain(self.key, "input", "drop")
        return Observed(nft=NftRules((base,), {self.key: self.found}))


def arrange(monkeypatch, nft):
    monkeypatch.setattr(openings, "execute", nft.execute)
    monkeypatch.setattr(openings, "observe_rules", nft.observe)


@pytest.mark.parametrize(
    "name", ["two words", 'in"put', "it's", "in;put", "1st", "-input", "in\nput", "$input", "eingäng", ""]
)
@pytest.mark.parametrize("part", ["table", "chain"])
def test_a_name_that_nft_cannot_express_is_reported_before_anything_is_changed(monkeypatch, name, part):
    nft = Nft("inet", *((name, "input") if part == "table" else ("filter", name)))
    arrange(monkeypatch, nft)
    with pytest.raises(Refused, match="does not allow. Open the port there yourself") as caught:
        openings.set_openings("nftables", [OPENING])
    assert repr(name) in str(caught.value)
    assert nft.calls == []


def test_a_name_that_is_a_word_of_the_language_is_reported_too(monkeypatch):
    nft = Nft("inet", "filter", "accept", knows=False)
    arrange(monkeypatch, nft)
    with pytest.raises(Refused, match="chain 'accept' in table inet 'filter' of nftables: syntax error"):
        openings.set_openings("nftables", [OPENING])
    command = f"insert rule inet filter accept {RULE}\n"
    assert nft.calls == [(["nft", "--check", "--file", "-"], command)]


def test_a_rule_of_ours_is_deleted_whatever_the_name_of_its_chain_is(monkeypatch):
    nft = Nft("inet", "my table", "in\nput")
    nft.found = ({"handle": 7, "comment": COMMENT, "expr": []},)
    arrange(monkeypatch, nft)
    for name in ("remove_file", "write_file"):
        monkeypatch.setattr(openings, name, lambda *_arguments: None)
    openings.set_openings("", [])
    (call,) = nft.calls
    assert call[0] == ["nft", "-j", "-f", "-"]
    rule = {"family": "inet", "table": "my table", "chain": "in\nput", "handle": 7}
    assert json.loads(call[1]) == {"nftables": [{"delete": {"rule": rule}}]}


@pytest.mark.skipif(shutil.which("nft") is None or os.geteuid() != 0, reason="needs nft and root")
def test_the_real_nft_names_what_we_say_it_does():
    names = ["input", "a.b/c-d_e", ".x", "_x", "two words", 'in"put', "1st", "-x", "in;put"]
    commands = ["add table inet t", *(f"add chain inet t {name}" for name in names)]
    for name, command in zip(names, commands[1:]):
        text = f"{commands[0]}\n{command}\n"
        argv = ["unshare", "--net", "nft", "--check", "--file", "-"]
        done = subprocess.run(argv, input=text, text=True, capture_output=True, check=False)
        assert (done.returncode == 0) == firewall_nft.has_name(Hook("nft", "inet", "t", name)), name


def test_the_script_puts_a_rule_of_iptables_in_once(script):
    words = "-i docker0 -d 172.17.0.1 -p tcp --dport 2376 -m comment --comment wormhole.docker -j ACCEPT"
    assert script("start", OLD) == [f"-w -t filter -C INPUT {words}", f"-w -t filter -I INPUT {words}"]
    assert script("start", OLD) == [f"-w -t filter -C INPUT {words}"]
    assert script("stop", OLD) == [f"-w -t filter -D INPUT {words}"] * 2


# ---- the restriction, on a host whose nft and systemd remember

RESTRICTION = Restriction((SocketAddress("172.17.0.1", 2376),), ("br0",))


class RestrictingNft:
    """nft and systemd reduced to our table and its service; ``broken`` makes the service do nothing."""

    def __init__(self, root, monkeypatch):
        self.unit = root / "neighbours.service"
        self.links = [root / "a.wants/neighbours.service", root / "b.wants/neighbours.service"]
        self.loaded = None
        self.broken = False
        self.calls = []
        monkeypatch.setattr(firewall_neighbours, "UNIT_PATH", str(self.unit))
        monkeypatch.setattr(firewall_neighbours, "LINKS", tuple(map(str, self.links)))
        monkeypatch.setattr(firewall_neighbours, "is_in_force", lambda _nft, found: found == self.loaded)
        monkeypatch.setattr(openings, "observe_rules", self.observe)
        monkeypatch.setattr(openings, "execute", self.execute)
        monkeypatch.setattr(openings, "write_file", lambda path, text, mode: self.unit.write_bytes(text))
        monkeypatch.setattr(openings.systemd, "daemon_reload", lambda: self.calls.append("daemon-reload"))
        monkeypatch.setattr(openings.systemd, "enable", self.enable)
        monkeypatch.setattr(openings.systemd, "stop", self.stop)

    def observe(self):
        text = self.unit.read_text() if self.unit.exists() else None
        chain = {} if self.loaded is None else {("inet", "wormhole-docker", "input"): ()}
        return Observed(
            nft=NftRules(rules=chain),
            neighbours_unit=text,
            neighbours_enabled=sum(link.is_symlink() for link in self.links),
        )

    def enable(self, unit):
        self.calls.append(f"enable {unit}")
        for link in self.links:
            link.parent.mkdir(exist_ok=True)
            link.unlink(missing_ok=True)
            link.symlink_to(self.unit)

    def stop(self, unit):
        self.calls.append(f"stop {unit}")
        self.loaded = None

    def execute(self, argv):
        self.calls.append(" ".join(argv[:2]))
        if argv[0] == "nft":
            self.loaded = None
        elif not self.broken:
            self.loaded = firewall_neighbours.parse_unit(self.unit.read_text())


@pytest.fixture
def nft(tmp_path, monkeypatch):
    return RestrictingNft(tmp_path, monkeypatch)


def test_a_restriction_is_made_once_changed_and_removed_without_a_trace(nft, tmp_path):
    openings.set_openings("", (), RESTRICTION)
    made = ["daemon-reload", "enable wormhole-docker-neighbours.service", "systemctl reload-or-restart"]
    assert nft.calls == made
    openings.set_openings("", (), RESTRICTION)
    assert nft.calls == made
    openings.set_openings("", (), dataclasses.replace(RESTRICTION, bridges=()))
    assert nft.loaded == dataclasses.replace(RESTRICTION, bridges=())
    openings.set_openings("", ())
    assert list(tmp_path.iterdir()) == []
    assert nft.loaded is None


@pytest.mark.parametrize("harm", ["table", "link", "unit"])
@pytest.mark.parametrize("desired", [RESTRICTION, None])
def test_a_restriction_that_others_have_changed_is_made_again_or_removed(nft, tmp_path, harm, desired):
    openings.set_openings("", (), RESTRICTION)
    if harm == "table":
        nft.loaded = None
    else:
        (nft.links[0] if harm == "link" else nft.unit).unlink()
    openings.set_openings("", (), desired)
    assert nft.loaded == desired
    assert bool(list(tmp_path.iterdir())) is bool(desired)


def test_a_restriction_without_effect_is_a_failure(nft):
    nft.broken = True
    with pytest.raises(ApplyFailed, match=r"neighbours\.service has run, but the table"):
        openings.set_openings("", (), RESTRICTION)
