# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command line of ./dev."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from lab import HostSpec, Lab, LabError
from lab.cache import remove
from lab.paths import LabPaths
from lab.spec import DEFAULT, RELEASES, Variant
from runner.progress import Progress

ROOT = Path(__file__).resolve().parent.parent.parent


def main(argv: Sequence[str]) -> int:
    """Run one command; return the exit status."""
    arguments = _parser().parse_args(argv)
    command: Callable[[argparse.Namespace], int] = arguments.command
    try:
        return command(arguments)
    except LabError as error:
        print(f"./dev: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("./dev: interrupted", file=sys.stderr)
        return 130


# Long because it is one table: a line for each command and option.
def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./dev", description="Test the wormhole.docker collection on throwaway hosts."
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    demo = commands.add_parser(
        "demo", help="provision a throwaway host, start a wormhole, and verify that it works"
    )
    demo.add_argument(
        "--debian",
        type=int,
        choices=RELEASES,
        default=DEFAULT,
        help="Debian release of the host (default: %(default)s)",
    )
    demo.add_argument("--keep", action="store_true", help="keep the host running, see ./dev lab")
    demo.set_defaults(command=_demo)

    test = commands.add_parser("test", help="run all parts of the tests, or some of them")
    test.add_argument("parts", nargs="*", metavar="PART", help="lint, sanity, unit, integration, docs")
    test.add_argument("--thorough", action="store_true", help="run all test cases instead of a sample")
    test.add_argument("--seed", type=int, help="repeat the sample of a run with this seed")
    test.set_defaults(command=_test)

    bench = commands.add_parser("bench", help="measure this collection side by side with its peers")
    bench.add_argument(
        "subject",
        nargs="?",
        choices=("playbooks", "gate"),
        default="playbooks",
        help="playbooks and tasks, beside those of other collections; or the gate, beside the engine and "
        "HAProxy (default: %(default)s)",
    )
    bench.add_argument(
        "--rounds", type=_positive, default=5, metavar="N", help="number of rounds (default: %(default)s)"
    )
    bench.add_argument(
        "--rows", default="", metavar="NAME,NAME", help="measure only these rows of the table (default: all)"
    )
    bench.add_argument(
        "--release",
        type=int,
        choices=RELEASES,
        default=DEFAULT,
        help="Debian release of the hosts (default: %(default)s)",
    )
    bench.add_argument(
        "--json",
        type=Path,
        metavar="PATH",
        help="file for all values (default: bench.json or bench-gate.json in .dev)",
    )
    bench.set_defaults(command=_bench)

    lab = commands.add_parser("lab", help="manage throwaway hosts")
    actions = lab.add_subparsers(title="actions", required=True, metavar="ACTION")

    up = actions.add_parser("up", help="start the lab, and boot hosts until N are running")
    up.add_argument("--hosts", type=int, default=1, metavar="N", help="number of hosts (default: 1)")
    up.add_argument(
        "--debian",
        choices=(*map(str, RELEASES), "mixed"),
        default=str(DEFAULT),
        help="Debian release of the hosts, or one of each in turn (default: %(default)s)",
    )
    up.add_argument("--bare", action="store_true", help="boot hosts without Docker and its Python libraries")
    up.set_defaults(command=_lab_up)

    actions.add_parser("status", help="list the hosts").set_defaults(command=_lab_status)
    actions.add_parser("inventory", help="print the path of an Ansible inventory").set_defaults(
        command=_lab_inventory
    )

    run = actions.add_parser("run", help="run a command on a host")
    run.add_argument("host", metavar="HOST")
    run.add_argument(
        "words",
        nargs=argparse.REMAINDER,
        metavar="CMD",
        help="command to run (default: an interactive shell)",
    )
    run.set_defaults(command=_lab_run)

    reboot = actions.add_parser("reboot", help="reboot a host")
    reboot.add_argument("host", metavar="HOST")
    reboot.add_argument("--power-cut", action="store_true", help="without a shutdown, like a power failure")
    reboot.set_defaults(command=_lab_reboot)

    actions.add_parser("down", help="stop the lab and remove all hosts").set_defaults(command=_lab_down)

    commands.add_parser("clean", help="remove everything that ./dev created").set_defaults(command=_clean)
    return parser


def _demo(arguments: argparse.Namespace) -> int:
    from runner.demo import demo  # imported here, because only this command needs it

    return demo(ROOT, arguments.debian, keep=arguments.keep, progress=Progress())


def _test(arguments: argparse.Namespace) -> int:
    from runner.parts import main as run_parts

    return run_parts(arguments.parts, arguments.thorough, arguments.seed)


def _bench(arguments: argparse.Namespace) -> int:
    from bench.command import bench
    from bench.gate.command import bench_gate

    run = bench_gate if arguments.subject == "gate" else bench
    names = [name for name in arguments.rows.split(",") if name]
    return run(ROOT, arguments.release, arguments.rounds, names, arguments.json)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def _lab_up(arguments: argparse.Namespace) -> int:
    progress = Progress()
    # The default release comes first, so that a lab with one mixed host has the usual one.
    mixed = sorted(RELEASES, key=lambda release: release != DEFAULT)
    releases = mixed if arguments.debian == "mixed" else [int(arguments.debian)]
    variant: Variant = "bare" if arguments.bare else "standard"
    wanted = [HostSpec(releases[number % len(releases)], variant) for number in range(arguments.hosts)]
    Lab.up(wanted, root=ROOT, progress=progress)
    progress("the lab is running; ./dev lab down stops it")
    return _lab_status(arguments)


def _lab_status(arguments: argparse.Namespace) -> int:
    lab = _running_lab()
    for host in lab.hosts:
        print(f"{host.name:8} {host.address:15} Debian {host.release}, {host.variant}")
    return 0


def _lab_inventory(arguments: argparse.Namespace) -> int:
    print(_running_lab().inventory_path)
    return 0


def _lab_run(arguments: argparse.Namespace) -> int:
    host = _running_lab().host(arguments.host)
    terminal = ["-t"] if sys.stdin.isatty() and not arguments.words else []
    argv = host.ssh_argv(*arguments.words)
    return subprocess.run([argv[0], *terminal, *argv[1:]], check=False).returncode


def _lab_reboot(arguments: argparse.Namespace) -> int:
    progress = Progress()
    host = _running_lab().host(arguments.host)
    host.reboot(power_cut=arguments.power_cut)
    progress(f"{host.name} has rebooted")
    return 0


def _lab_down(arguments: argparse.Namespace) -> int:
    return _report_left(Lab.down(root=ROOT))


def _clean(arguments: argparse.Namespace) -> int:
    paths = LabPaths(ROOT)
    left = Lab.down(root=ROOT)
    record = paths.dev / "apt-installed"
    installed = record.read_text().split() if record.exists() else []
    remove(paths.dev)  # includes the virtual environment of this process: import nothing after this line
    if installed:
        print("./dev has installed these packages, which other programs may use by now. To remove them:")
        print(f"  apt-get remove {' '.join(installed)}")
    return _report_left(left)


def _report_left(left: Sequence[str]) -> int:
    for item in left:
        print(f"./dev: could not remove {item}", file=sys.stderr)
    return 1 if left else 0


def _running_lab() -> Lab:
    lab = Lab.attach(root=ROOT)
    if lab is None:
        raise LabError("no lab is running in this clone", remedy="start one with ./dev lab up")
    return lab
