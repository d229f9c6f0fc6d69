# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Long because it is one table: cases for each field of each body.
"""For every row of the tables that has a rule: bodies that are allowed, and bodies that are refused.

Bodies are parts of a request, added to a minimal one. The preset is ``test``, with the overrides of a case.
"""

from __future__ import annotations

from typing import Any, Dict, NamedTuple, Tuple

from ansible_collections.wormhole.docker.plugins.module_utils._policy.bodies import (
    MASKED_PATHS_SINCE_20_10,
    READONLY_PATHS,
)
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._policy.world import ME, OTHER, OWN


class Case(NamedTuple):
    """A row's cases.

    Attributes:
        allowed: bodies that pass.
        refused: bodies that do not, with the reason code.
        overrides: sections of ``policy_overrides``.
    """

    allowed: Tuple[Dict[str, Any], ...]
    refused: Tuple[Tuple[Dict[str, Any], str], ...]
    overrides: Dict[str, Any] = {}


def _never(name: str, value: Any, *defaults: Any) -> Dict[str, Case]:
    """A field that is refused unless it has a default."""
    allowed = ({}, *({name: default} for default in defaults))
    return {name: Case(allowed, (({name: value}, "field"),))}


def _limit(name: str, limits: Dict[str, Any], most: int, *above: int) -> Dict[str, Case]:
    """A field with a limit."""
    refused = tuple(({name: value}, "limit") for value in (most + 1, *above))
    return {name: Case(({name: most}, {name: 0}, {}), refused, {"limits": limits})}


_MEMORY, _CPUS = {"memory": "64m"}, {"cpus": 2}
_RATES = [{"Path": "/dev/sda", "Rate": 1}]

RESOURCES: Dict[str, Case] = {
    **_limit("CpuShares", _CPUS, 1024),
    **_limit("Memory", _MEMORY, 64 << 20, -1),
    **_limit("MemoryReservation", _MEMORY, 64 << 20, -1),
    **_limit("MemorySwap", _MEMORY, 128 << 20, -1),
    **_limit("NanoCpus", _CPUS, 2_000_000_000, -1),
    "CpuQuota": Case(
        ({"CpuQuota": 200_000, "CpuPeriod": 100_000}, {"CpuQuota": 0}, {}),
        tuple(({"CpuQuota": quota, "CpuPeriod": 100_000}, "limit") for quota in (200_001, -1)),
        {"limits": _CPUS},
    ),
    **_limit("PidsLimit", {"pids": 100}, 100, -1),
    "CpuPeriod": Case(
        ({"CpuPeriod": 50_000, "CpuQuota": 100_000}, {"CpuPeriod": 0}),
        (({"CpuPeriod": 50_000}, "limit"), ({"CpuPeriod": 50_000, "CpuQuota": 100_001}, "limit")),
        {"limits": _CPUS},
    ),
    "Ulimits": Case(
        ({"Ulimits": [{"Name": "nofile", "Soft": 1024, "Hard": 2048}]}, {"Ulimits": []}),
        (({"Ulimits": [{"Name": "rtprio", "Soft": 1, "Hard": 1}]}, "limit"),),
    ),
    "DeviceRequests": Case(
        (
            {"DeviceRequests": [{"Driver": "nvidia", "Count": -1, "Capabilities": [["gpu"]]}]},
            {"DeviceRequests": [{"Driver": "", "Count": -1, "Capabilities": [["gpu"]]}]},
            {"DeviceRequests": [{"Driver": "cdi", "DeviceIDs": ["vendor.example/gpu=0"]}]},
        ),
        (
            ({"DeviceRequests": [{"Driver": "cdi", "DeviceIDs": ["vendor.example/other=0"]}]}, "value"),
            ({"DeviceRequests": [{"Driver": "cdi", "DeviceIDs": []}]}, "value"),
            ({"DeviceRequests": [{"Driver": "other"}]}, "value"),
            ({"DeviceRequests": [{"Driver": "nvidia", "Options": {"a": "b"}}]}, "value"),
        ),
        {"devices": ["nvidia", "vendor.example/gpu=0"]},
    ),
    **_never("CgroupParent", "/system.slice", ""),
    **_never("BlkioWeightDevice", [{"Path": "/dev/sda", "Weight": 1}], []),
    **_never("BlkioDeviceReadBps", _RATES, []),
    **_never("BlkioDeviceWriteBps", _RATES, []),
    **_never("BlkioDeviceReadIOps", _RATES, []),
    **_never("BlkioDeviceWriteIOps", _RATES, []),
    **_never("CpuRealtimePeriod", 1, 0),
    **_never("CpuRealtimeRuntime", 1, 0),
    **_never("Devices", [{"PathOnHost": "/dev/sda", "PathInContainer": "/dev/sda"}], []),
    **_never("DeviceCgroupRules", ["c 1:3 mr"], [], None),
    **_never("KernelMemory", 1, 0),
    **_never("KernelMemoryTCP", 1, 0),
    **_never("OomKillDisable", True, False, None),
    **_never("CpuCount", 1, 0),
    **_never("CpuPercent", 1, 0),
    **_never("IOMaximumIOps", 1, 0),
    **_never("IOMaximumBandwidth", 1, 0),
}

RESTART = {
    "RestartPolicy": Case(
        (
            {"RestartPolicy": {"Name": "no", "MaximumRetryCount": 0}},
            {"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 10}},
            {"RestartPolicy": {"Name": "", "MaximumRetryCount": 0}},
        ),
        (
            ({"RestartPolicy": {"Name": "always"}}, "restart"),
            ({"RestartPolicy": {"Name": "unless-stopped"}}, "restart"),
            ({"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 11}}, "restart"),
        ),
    )
}


def _mount(kind: str, source: str = "", **more: Any) -> Dict[str, Any]:
    return {"Mounts": [{"Type": kind, "Source": source, "Target": "/x", **more}]}


_SRV = {
    "binds": ["/srv/data", {"path": "/srv/read", "read_only": True}, {"path": "/srv/tree", "below": True}]
}

HOST: Dict[str, Case] = {
    **RESOURCES,
    **RESTART,
    "Binds": Case(
        (
            {"Binds": ["/srv/data:/x"]},
            {"Binds": ["/srv/read:/x:ro"]},
            {"Binds": ["/srv/tree/a/b:/x:rw,z"]},
            {"Binds": ["myvol:/x", "newvol:/y", "/anonymous"]},
        ),
        (
            ({"Binds": ["/srv:/x"]}, "bind"),
            ({"Binds": ["/srv/data/:/x"]}, "bind"),
            ({"Binds": ["/srv/data/below:/x"]}, "bind"),
            ({"Binds": ["/srv/tree/../data2:/x"]}, "bind"),
            ({"Binds": ["/srv/treetop:/x"]}, "bind"),
            ({"Binds": ["/srv/read:/x"]}, "bind"),
            ({"Binds": ["/srv/data:/x:shared"]}, "bind"),
            ({"Binds": ["theirvol:/x"]}, "volume"),
            ({"Binds": ["cache:/x"]}, "volume"),
            ({"Binds": ["1234567890ab:/x"]}, "name"),
            ({"Binds": ["relative/path:/x"]}, "malformed"),
            ({"Binds": ["a:b:c:d"]}, "malformed"),
        ),
        _SRV,
    ),
    "LogConfig": Case(
        (
            {"LogConfig": {"Type": "", "Config": {}}},
            {"LogConfig": {"Type": "json-file", "Config": {"max-size": "1m"}}},
        ),
        (
            ({"LogConfig": {"Type": "syslog"}}, "value"),
            ({"LogConfig": {"Type": "json-file", "Config": {"syslog-address": "x"}}}, "value"),
        ),
    ),
    "NetworkMode": Case(
        tuple(
            {"NetworkMode": mode}
            for mode in ("", "default", "bridge", "none", "mynet", "shared", "container:mine")
        ),
        (
            ({"NetworkMode": "host"}, "namespace"),
            ({"NetworkMode": "theirnet"}, "not_found"),
            ({"NetworkMode": "missing"}, "not_found"),
            ({"NetworkMode": "container:theirs"}, "not_found"),
            ({"NetworkMode": "container:self"}, "not_owner"),
        ),
        {"networks": ["bridge", "shared"]},
    ),
    "PortBindings": Case(
        (
            {"PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}]}},
            {"PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "8000-8010"}]}},
            {"PortBindings": {}},
        ),
        (
            ({"PortBindings": {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}]}}, "port"),
            ({"PortBindings": {"80/tcp": [{"HostIp": "10.0.0.1", "HostPort": "8080"}]}}, "port"),
            ({"PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "80"}]}}, "port"),
            ({"PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8090-8101"}]}}, "port"),
            ({"PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}}, "port"),
            ({"PortBindings": {"80/tcp": []}}, "port"),
            ({"PortBindings": {"80/tcp": None}}, "port"),
            ({"PortBindings": {"80/tcp": [{"HostPort": "http"}]}}, "malformed"),
        ),
        {"ports": {"addresses": ["127.0.0.1"], "ranges": ["8000-8100"], "random": False}},
    ),
    "PublishAllPorts": Case(
        ({"PublishAllPorts": False},),
        (({"PublishAllPorts": True}, "port"),),
        {"ports": {"addresses": ["127.0.0.1"], "random": True}},
    ),
    "VolumeDriver": Case(
        ({"VolumeDriver": "local"}, {"VolumeDriver": ""}), (({"VolumeDriver": "other"}, "value"),)
    ),
    "VolumesFrom": Case(
        ({"VolumesFrom": ["mine:ro", OWN[:12]]},),
        (
            ({"VolumesFrom": ["theirs"]}, "not_found"),
            ({"VolumesFrom": [OTHER]}, "not_found"),
            ({"VolumesFrom": ["self"]}, "bind"),
            ({"VolumesFrom": ["mine:Z"]}, "bind"),
        ),
    ),
    "Mounts": Case(
        (
            _mount("bind", "/srv/data"),
            _mount("bind", "/srv/read", ReadOnly=True),
            _mount("volume", "myvol"),
            _mount("volume", "newvol"),
            _mount("volume"),
            _mount("tmpfs"),
            _mount("image", "alpine"),
        ),
        (
            (_mount("bind", "/etc"), "bind"),
            (_mount("bind", "/srv/read"), "bind"),
            (_mount("volume", "theirvol"), "volume"),
            (_mount("volume", "/srv"), "name"),
            (_mount("npipe", "x"), "bind"),
            (_mount("cluster", "x"), "bind"),
            (_mount("image", "registry.lan/secret:1"), "image"),
            (_mount("volume", "myvol", BindOptions={"NonRecursive": True}), "field"),
        ),
        {**_SRV, "images": ["alpine"]},
    ),
    "Mounts.BindOptions.Propagation": Case(
        (_mount("bind", "/srv/data", BindOptions={"Propagation": "rprivate"}),),
        ((_mount("bind", "/srv/data", BindOptions={"Propagation": "rshared"}), "bind"),),
        _SRV,
    ),
    "Mounts.BindOptions.CreateMountpoint": Case(
        (_mount("bind", "/srv/data", BindOptions={"CreateMountpoint": False}),),
        ((_mount("bind", "/srv/data", BindOptions={"CreateMountpoint": True}), "field"),),
        _SRV,
    ),
    "Mounts.VolumeOptions.Labels": Case(
        (_mount("volume", "newvol", VolumeOptions={"Labels": {"a": "b"}}),),
        ((_mount("volume", "newvol", VolumeOptions={"Labels": {"wormhole.docker.owner": "x"}}), "label"),),
    ),
    "Mounts.VolumeOptions.DriverConfig.Name": Case(
        (_mount("volume", "newvol", VolumeOptions={"DriverConfig": {"Name": "local"}}),),
        ((_mount("volume", "newvol", VolumeOptions={"DriverConfig": {"Name": "other"}}), "value"),),
    ),
    "Mounts.VolumeOptions.DriverConfig.Options": Case(
        (_mount("volume", "newvol", VolumeOptions={"DriverConfig": {"Options": {}}}),),
        (
            (
                _mount("volume", "newvol", VolumeOptions={"DriverConfig": {"Options": {"device": "/etc"}}}),
                "field",
            ),
        ),
    ),
    "Mounts.TmpfsOptions.SizeBytes": Case(
        (_mount("tmpfs", TmpfsOptions={"SizeBytes": 1 << 20}),),
        ((_mount("tmpfs", TmpfsOptions={"SizeBytes": (1 << 20) + 1}), "limit"),),
        {"limits": {"tmpfs": "1m"}},
    ),
    "Mounts.TmpfsOptions.Options": Case(
        (_mount("tmpfs", TmpfsOptions={"Options": [["noexec"]]}),),
        ((_mount("tmpfs", TmpfsOptions={"Options": [["mpol", "bind:0"]]}), "value"),),
    ),
    "Mounts.ClusterOptions": Case(
        (_mount("volume", "myvol", ClusterOptions={}),),
        ((_mount("cluster", "myvol", ClusterOptions={}), "bind"),),
    ),
    **_never("Annotations", {"a": "b"}, {}),
    "CapAdd": Case(
        ({"CapAdd": ["NET_RAW", "cap_chown", "CAP_KILL"]}, {"CapAdd": []}),
        (
            ({"CapAdd": ["SYS_ADMIN"]}, "capability"),
            ({"CapAdd": ["ALL"]}, "capability"),
            ({"CapAdd": ["cap_all"]}, "capability"),
        ),
    ),
    "CapDrop": Case(
        ({"CapDrop": ["ALL"]}, {"CapDrop": ["cap_all", "KILL"]}),
        (({"CapDrop": ["KILL"]}, "capability"), ({}, "capability")),
        {"level": "restricted"},
    ),
    "CgroupnsMode": Case(({"CgroupnsMode": "private"},), (({"CgroupnsMode": "host"}, "namespace"),)),
    "UTSMode": Case(({"UTSMode": ""},), (({"UTSMode": "host"}, "namespace"),)),
    "UsernsMode": Case(({"UsernsMode": ""},), (({"UsernsMode": "host"}, "namespace"),)),
    "PidMode": Case(
        ({"PidMode": "container:mine"}, {"PidMode": ""}),
        (
            ({"PidMode": "host"}, "namespace"),
            ({"PidMode": "container:theirs"}, "not_found"),
            ({"PidMode": "container:self"}, "not_owner"),
        ),
    ),
    "IpcMode": Case(
        tuple({"IpcMode": mode} for mode in ("private", "shareable", "none", "container:mine")),
        (({"IpcMode": "host"}, "namespace"), ({"IpcMode": "container:theirs"}, "not_found")),
    ),
    "GroupAdd": Case(
        ({"GroupAdd": ["1000"]},),
        (
            ({"GroupAdd": ["docker"]}, "value"),
            ({"GroupAdd": ["999"], "Binds": ["/srv/data:/x"]}, "value"),
            ({"GroupAdd": ["999"], **_mount("bind", "/srv/data")}, "value"),
        ),
        _SRV,
    ),
    **_never("Cgroup", "x", ""),
    "Links": Case(
        ({"Links": ["mine:db"]},),
        (({"Links": ["theirs:db"]}, "not_found"), ({"Links": ["self:db"]}, "not_owner")),
    ),
    "OomScoreAdj": Case(({"OomScoreAdj": 500},), (({"OomScoreAdj": -1}, "limit"),)),
    **_never("Privileged", True, False),
    "SecurityOpt": Case(
        ({"SecurityOpt": ["no-new-privileges", "seccomp=builtin", "apparmor:docker-default"]},),
        tuple(
            ({"SecurityOpt": [text]}, "value")
            for text in (
                "seccomp=unconfined",
                "seccomp:unconfined",
                "apparmor=unconfined",
                "label=disable",
                "label:type:x",
                "no-new-privileges=false",
                "no-new-privileges:false",
                "writable-cgroups=true",
                "disable",
                "systempaths=unconfined",
            )
        ),
    ),
    "StorageOpt": Case(
        ({"StorageOpt": {"size": "1g"}},),
        (({"StorageOpt": {"size": "2g"}}, "limit"), ({"StorageOpt": {"other": "1"}}, "value")),
        {"limits": {"storage": "1g"}},
    ),
    "Tmpfs": Case(
        ({"Tmpfs": {"/run": "rw,noexec,size=64m,mode=1777"}}, {"Tmpfs": {"/run": ""}}),
        (
            ({"Tmpfs": {"/run": "size=3g"}}, "limit"),
            ({"Tmpfs": {"/run": "size=50%"}}, "value"),
            ({"Tmpfs": {"/run": "mpol=bind"}}, "value"),
        ),
        {"limits": {"tmpfs": "64m"}},
    ),
    **_limit("ShmSize", {"shm": "128m"}, 128 << 20),
    "Sysctls": Case(
        ({"Sysctls": {"net.ipv4.tcp_syncookies": "1"}},),
        (
            ({"Sysctls": {"kernel.msgmax": "1"}}, "value"),
            ({"Sysctls": {"net.ipv4.tcp_syncookies": "1"}, "NetworkMode": "container:mine"}, "value"),
        ),
    ),
    **_never("Runtime", "other", "runc", ""),
    **_never("Isolation", "hyperv", "default", ""),
    "MaskedPaths": Case(
        ({"MaskedPaths": None}, {"MaskedPaths": [*MASKED_PATHS_SINCE_20_10, "/proc/other"]}),
        (({"MaskedPaths": []}, "value"), ({"MaskedPaths": list(MASKED_PATHS_SINCE_20_10[1:])}, "value")),
    ),
    "ReadonlyPaths": Case(
        ({"ReadonlyPaths": None}, {"ReadonlyPaths": list(READONLY_PATHS)}),
        (({"ReadonlyPaths": []}, "value"), ({"ReadonlyPaths": list(READONLY_PATHS[1:])}, "value")),
    ),
    **_never("Capabilities", ["KILL"], []),
}

CONFIG: Dict[str, Case] = {
    "User": Case(
        ({"User": "1000"}, {"User": "1000:1000"}),
        tuple(
            ({"User": text}, "value") for text in ("", "0", "root", "1000:0", "0:1000", "00", "4294967296")
        ),
        {"level": "restricted"},
    ),
    "Healthcheck.Interval": Case(
        (
            {"Healthcheck": {"Test": ["CMD", "true"], "Interval": 1_000_000_000}},
            {"Healthcheck": {"Interval": 0}},
        ),
        (({"Healthcheck": {"Interval": 999_999_999}}, "limit"),),
    ),
    "Healthcheck.StartInterval": Case(
        ({"Healthcheck": {"StartInterval": 1_000_000_000}},),
        (({"Healthcheck": {"StartInterval": 1}}, "limit"),),
    ),
    "Image": Case(
        (
            {"Image": "alpine"},
            {"Image": "alpine:3.20"},
            {"Image": "docker.io/library/alpine:latest"},
            {"Image": "aaaa" * 3},
        ),
        (
            ({"Image": "registry.lan/secret:1"}, "image"),
            ({"Image": "bbbbbbbbbbbb"}, "image"),
            ({"Image": "sha256:" + "bb" * 32}, "image"),
            ({"Image": "sha256:bbbb"}, "image"),
            ({"Image": "busybox"}, "image"),
            ({"Image": ""}, "malformed"),
            ({"Image": "UPPER"}, "malformed"),
        ),
        {"images": ["alpine"]},
    ),
    **_never("MacAddress", "02:42:ac:11:00:02", ""),
    "Labels": Case(
        ({"Labels": {"com.docker.compose.project": "x"}}, {"Labels": {"caddy.x": "y"}}),
        (
            ({"Labels": {"wormhole.docker.owner": "other"}}, "label"),
            ({"Labels": {"Wormhole.docker.owner": "other"}}, "label"),
            ({"Labels": {"wormhole.docker.identity": "other"}}, "label"),
            ({"Labels": {"traefik.enable": "true"}}, "label"),
            ({"Labels": {"com.centurylinklabs.watchtower.enable": "true"}}, "label"),
        ),
        {"labels": {"allow": ["caddy", "wormhole."]}},
    ),
}

ENDPOINT: Dict[str, Case] = {
    "IPAMConfig.IPv4Address": Case(({"IPAMConfig": {"IPv4Address": "10.9.0.5"}},), ()),
    "IPAMConfig.IPv6Address": Case(({"IPAMConfig": {"IPv6Address": "fd00::5"}},), ()),
    "IPAMConfig.LinkLocalIPs": Case(
        ({"IPAMConfig": {}},), (({"IPAMConfig": {"LinkLocalIPs": ["169.254.1.1"]}}, "field"),)
    ),
    "Links": Case(({"Links": ["mine:db"]},), (({"Links": ["theirs:db"]}, "not_found"),)),
    "Aliases": Case(({"Aliases": ["db"]},), ()),
    **_never("DriverOpts", {"com.docker.network.endpoint.sysctls": "x"}, {}, None),
    "MacAddress": Case(({"MacAddress": "02:42:ac:11:00:02"},), ()),
}
"""On a network of its own. What is only refused on others is in ``SHARED_ENDPOINT``."""

SHARED_ENDPOINT: Dict[str, Dict[str, Any]] = {
    "IPAMConfig.IPv4Address": {"IPAMConfig": {"IPv4Address": "10.9.0.5"}},
    "IPAMConfig.IPv6Address": {"IPAMConfig": {"IPv6Address": "fd00::5"}},
    "Aliases": {"Aliases": ["db"]},
    "MacAddress": {"MacAddress": "02:42:ac:11:00:02"},
}
"""Endpoints that are refused, with the code ``network``, on networks that are shared with others."""

_CONTAINER = Case(
    ({"Container": "mine"}, {"Container": "self"}, {"Container": ME[:12]}),
    (
        ({"Container": "theirs"}, "not_found"),
        ({"Container": "missing"}, "not_found"),
        ({"Container": ""}, "not_found"),
    ),
)

DOCUMENTS: Dict[str, Dict[str, Case]] = {
    "container.update": {**RESOURCES, **RESTART},
    "container.exec": {
        "User": Case(
            ({"User": "1000"}, {}),
            (({"User": "root"}, "value"), ({"User": "0"}, "value")),
            {"level": "restricted"},
        ),
        **_never("Privileged", True, False),
    },
    "exec.start": {},
    "auth": {
        "serveraddress": Case(
            tuple(
                {"serveraddress": text}
                for text in (
                    "",
                    "docker.io",
                    "https://index.docker.io/v1/",
                    "registry.lan",
                    "https://registry.lan/v2/",
                )
            ),
            tuple(
                ({"serveraddress": text}, "image")
                for text in (
                    "10.0.0.1:80",
                    "http://10.0.0.1/",
                    "registry.lan:80",
                    "https://registry.lan@10.0.0.1/",
                )
            ),
            {"powers": {"login": "own"}, "tags": ["registry.lan/ci/**"]},
        )
    },
    "commit": {name: case for name, case in CONFIG.items() if name not in ("User", "Image", "MacAddress")},
    "volume.create": {
        "Name": Case(
            ({"Name": "newvol2"}, {"Name": "myvol"}, {"Name": ""}),
            (
                ({"Name": "theirvol"}, "name"),
                ({"Name": "0123456789abcdef"}, "name"),
                ({"Name": "a/b"}, "name"),
            ),
        ),
        "Driver": Case(({"Driver": "local"}, {"Driver": ""}), (({"Driver": "other"}, "value"),)),
        "DriverOpts": Case(
            (
                {"DriverOpts": {}},
                {"DriverOpts": {"type": "tmpfs", "device": "tmpfs", "o": "size=32m,uid=1000"}},
                {"DriverOpts": {"type": "nfs", "device": ":/export", "o": "addr=10.0.0.9,nfsvers=4,ro"}},
            ),
            (
                ({"DriverOpts": {"type": "none", "device": "/etc", "o": "bind"}}, "value"),
                ({"DriverOpts": {"device": "/dev/sda1", "type": "ext4"}}, "value"),
                ({"DriverOpts": {"type": "tmpfs", "device": "/etc", "o": "bind"}}, "value"),
                ({"DriverOpts": {"type": "tmpfs", "o": "bind"}}, "value"),
                ({"DriverOpts": {"type": "nfs", "device": ":/export", "o": "addr=10.0.0.8"}}, "value"),
                (
                    {"DriverOpts": {"type": "nfs", "device": ":/export", "o": "addr=10.0.0.9,addr=10.0.0.8"}},
                    "value",
                ),
                ({"DriverOpts": {"type": "nfs", "device": "/etc", "o": "addr=10.0.0.9,bind"}}, "value"),
            ),
            {"volume_servers": ["10.0.0.9"]},
        ),
        "Labels": Case(({"Labels": {"a": "b"}},), (({"Labels": {"wormhole.docker.owner": "x"}}, "label"),)),
        "ClusterVolumeSpec": Case(
            ({"ClusterVolumeSpec": {}},), (({"ClusterVolumeSpec": {"Group": "x"}}, "unknown_field"),)
        ),
    },
    "network.create": {
        "Name": Case(
            ({"Name": "newnet2"}, {"Name": "mynet"}),
            (
                ({"Name": "theirnet"}, "name"),
                ({"Name": "bridge"}, "name"),
                ({"Name": "host"}, "name"),
                ({"Name": "abcdef012345"}, "name"),
                ({"Name": ""}, "malformed"),
            ),
        ),
        "Driver": Case(
            ({"Driver": "bridge"}, {"Driver": ""}),
            (({"Driver": "macvlan"}, "value"), ({"Driver": "host"}, "value")),
        ),
        **_never("Scope", "swarm", "local", ""),
        "IPAM.Driver": Case(({"IPAM": {"Driver": "default"}},), (({"IPAM": {"Driver": "other"}}, "field"),)),
        "IPAM.Options": Case(({"IPAM": {"Options": {}}},), (({"IPAM": {"Options": {"a": "b"}}}, "field"),)),
        "IPAM.Config": Case(
            (
                {"IPAM": {"Config": [{"Subnet": "10.9.3.0/24", "Gateway": "10.9.3.1"}]}},
                {"IPAM": {"Config": [{}]}},
                {"IPAM": {"Config": []}},
            ),
            (
                ({"IPAM": {"Config": [{"Subnet": "10.8.0.0/24"}]}}, "network"),
                ({"IPAM": {"Config": [{"Subnet": "10.0.0.0/8"}]}}, "network"),
                ({"IPAM": {"Config": [{"Subnet": "10.9.3.0"}]}}, "malformed"),
                ({"IPAM": {"Config": [{"Subnet": "10.9.3.1/24"}]}}, "malformed"),
                ({"IPAM": {"Config": [{"Gateway": "10.9.3.1"}]}}, "malformed"),
            ),
            {"subnets": ["10.9.0.0/16"]},
        ),
        "Internal": Case(
            ({"Internal": True},), (({"Internal": False}, "network"), ({}, "network")), {"internal": True}
        ),
        **_never("Ingress", True, False),
        **_never("ConfigOnly", True, False),
        **_never("ConfigFrom", {"Network": "x"}, {"Network": ""}, None),
        "Options": Case(
            ({"Options": {"com.docker.network.driver.mtu": "1400"}},),
            (
                ({"Options": {"com.docker.network.bridge.name": "docker0"}}, "value"),
                ({"Options": {"com.docker.network.bridge.gateway_mode_ipv4": "routed"}}, "value"),
            ),
        ),
        "Labels": Case(({"Labels": {"a": "b"}},), (({"Labels": {"wormhole.docker.owner": "x"}}, "label"),)),
    },
    "network.connect": {
        "Container": _CONTAINER,
        "EndpointConfig": Case(
            ({"EndpointConfig": {}}, {"EndpointConfig": None}),
            (({"EndpointConfig": {"DriverOpts": {"a": "b"}}}, "field"),),
        ),
        **{
            f"EndpointConfig.{name}": Case(
                tuple({"EndpointConfig": body} for body in case.allowed),
                tuple(({"EndpointConfig": body}, code) for body, code in case.refused),
            )
            for name, case in ENDPOINT.items()
        },
    },
    "network.disconnect": {"Container": _CONTAINER},
    "container.create": {
        **CONFIG,
        **{
            f"HostConfig.{name}": Case(
                tuple({"HostConfig": body} for body in case.allowed),
                tuple(({"HostConfig": body}, code) for body, code in case.refused),
                case.overrides,
            )
            for name, case in HOST.items()
        },
        **{
            f"NetworkingConfig.EndpointsConfig.{name}": Case(
                tuple({"NetworkingConfig": {"EndpointsConfig": {"mynet": body}}} for body in case.allowed),
                tuple(
                    ({"NetworkingConfig": {"EndpointsConfig": {"mynet": body}}}, code)
                    for body, code in case.refused
                ),
            )
            for name, case in ENDPOINT.items()
        },
        "NetworkingConfig.EndpointsConfig": Case(
            tuple(
                {"NetworkingConfig": {"EndpointsConfig": {name: row}}}
                for name, row in (
                    ("mynet", {}),
                    ("default", {}),
                    ("bridge", None),
                    ("none", {}),
                    ("shared", {}),
                )
            ),
            (
                ({"NetworkingConfig": {"EndpointsConfig": {"theirnet": {}}}}, "not_found"),
                ({"NetworkingConfig": {"EndpointsConfig": {"host": {}}}}, "namespace"),
                ({"NetworkingConfig": {"EndpointsConfig": {"mynet": {}, "44444444": {}}}}, "malformed"),
            ),
            {"networks": ["bridge", "shared"]},
        ),
    },
}

MINIMAL: Dict[str, Tuple[str, Dict[str, Any]]] = {
    "auth": ("/v1.45/auth", {"username": "a"}),
    "container.create": ("/v1.45/containers/create?name=new", {"Image": "alpine"}),
    "container.update": ("/v1.45/containers/mine/update", {}),
    "container.exec": ("/v1.45/containers/mine/exec", {"Cmd": ["true"]}),
    "commit": ("/v1.45/commit?container=mine&repo=ci/app", {}),
    "volume.create": ("/v1.45/volumes/create", {"Name": "newvol"}),
    "network.create": ("/v1.45/networks/create", {"Name": "newnet"}),
    "network.connect": ("/v1.45/networks/mynet/connect", {"Container": "mine"}),
    "network.disconnect": ("/v1.45/networks/mynet/disconnect", {"Container": "mine"}),
}
"""A request of each route that passes with the preset ``test``."""
