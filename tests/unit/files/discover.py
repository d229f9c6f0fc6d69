# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run ``files/wormhole-discover`` as in a container: real shells, made-up routes and tools."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

PROGRAM = Path(__file__).resolve().parents[3] / "files/wormhole-discover"

SHELLS = {
    name: [path, *arguments]
    for name, path, arguments in (
        ("dash", shutil.which("dash"), ()),
        ("busybox", shutil.which("busybox"), ("sh",)),
        ("bash", shutil.which("bash"), ("--posix",)),
    )
    if path
}

HEADING = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
ORDERS = {"little": 1, "big": 2}
"""Byte orders, and what stands for them in the sixth byte of a program (elf(5))."""


def ipv4_line(
    destination: str,
    mask: str,
    gateway: str = "0.0.0.0",
    *,
    interface: str = "eth0",
    metric: int = 0,
    flags: int = 1,
    order: str = "little",
) -> str:
    """A line of ``/proc/net/route`` as the kernel prints it (linux: ``fib_route_seq_show``)."""

    def digits(address: str) -> str:
        packed = bytes(map(int, address.split(".")))
        return packed[:: -1 if order == "little" else 1].hex().upper()

    columns = (
        interface,
        digits(destination),
        digits(gateway),
        f"{flags:04X}",
        0,
        0,
        metric,
        digits(mask),
        0,
        0,
        0,
    )
    return "\t".join(map(str, columns)) + "\n"


def ipv6_line(
    destination: str,
    length: int,
    gateway: str = "0" * 32,
    *,
    interface: str = "eth0",
    metric: int = 1024,
    flags: int = 1,
) -> str:
    """A line of ``/proc/net/ipv6_route`` (linux: ``rt6_info_route``); addresses as 32 digits."""
    zero = "0" * 32
    return f"{destination} {length:02x} {zero} 00 {gateway} {metric:08x} 00000001 00000000 {flags:08x} {interface:>8}\n"


@dataclass
class Container:
    """What the program finds.

    Attributes:
        root: a directory that is empty.
        shell: a command line.
        ipv4, ipv6: routing tables; None if there is no such file.
        hosts: ``/etc/hosts``.
        order: the machine's byte order.
        settings: environment variables.
        tools: shell scripts by the name of the program that they stand for.
        clock: whether the kernel tells the time since its start.
    """

    root: Path
    shell: list[str]
    ipv4: Optional[str] = HEADING
    ipv6: Optional[str] = ""
    hosts: str = ""
    order: str = "little"
    settings: dict[str, str] = field(default_factory=dict)
    tools: dict[str, str] = field(default_factory=dict)
    clock: bool = True

    def run(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Runs the program to its end."""
        return subprocess.run(
            [*self.shell, str(PROGRAM), *arguments],
            env=self.prepare(),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def candidates(self) -> list[str]:
        """The addresses that the program would try."""
        done = self.run("--candidates")
        assert (done.returncode, done.stderr) == (0, "")
        return [line.split()[0] for line in done.stdout.splitlines()]

    def prepare(self) -> dict[str, str]:
        """Lays out the files; returns the environment."""
        proc, tools, certificates = self.root / "proc", self.root / "bin", self.root / "certs"
        for directory in (proc / "net", proc / "self", tools, certificates):
            directory.mkdir(parents=True, exist_ok=True)
        (proc / "self/exe").write_bytes(b"\x7fELF\x02" + bytes([ORDERS[self.order], 1, 0]) + b"\x00\xff\n")
        for name, table in (("route", self.ipv4), ("ipv6_route", self.ipv6)):
            if table is not None:
                (proc / "net" / name).write_text(table)
        if self.clock and not (proc / "uptime").exists():
            os.symlink("/proc/uptime", proc / "uptime")
        (self.root / "hosts").write_text(self.hosts)
        for name in ("ca.pem", "cert.pem", "key.pem"):
            (certificates / name).touch()
        for name, script in self.tools.items():
            (tools / name).write_text(f"#!/bin/sh\n{script}\n")
            (tools / name).chmod(0o755)
        for name in ("sleep", "env"):
            if not (tools / name).exists():
                os.symlink(shutil.which(name) or "", tools / name)
        return {
            "PATH": str(tools),
            "WORMHOLE_PROC": str(proc),
            "WORMHOLE_HOSTS_FILE": str(self.root / "hosts"),
            "WORMHOLE_CERT_PATH": str(certificates),
            "WORMHOLE_TIMEOUT": "0",
            **self.settings,
        }
