# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Long because it is one table: a row for each field of each body.
"""Every field of every request body, with the rule that decides it.

A table of data: the order is that of the Engine API's description (api/swagger.yaml of moby at API 1.56).
Fields that are not here are rejected by name unless they are empty.
"""

from __future__ import annotations

from typing import Tuple

from .shapes import (
    DROPPED,
    FLAG,
    NEVER,
    NOTHING,
    NUMBER,
    TEXT,
    TEXT_BY_NAME,
    TEXTS,
    WORDS,
    Field,
    ListOf,
    MapOf,
    Struct,
)

MASKED_PATHS = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
)
"""What engines mask by default, all releases together (daemon/pkg/oci/defaults.go). Newer ones also mask
``/sys/devices/system/cpu/cpuN/thermal_throttle`` for each CPU."""
MASKED_PATHS_SINCE_20_10 = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/firmware",
)
"""What every engine masks that this collection supports."""
READONLY_PATHS = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")

HEALTHCHECK = Struct(
    (
        Field("Test", TEXTS),
        Field("Interval", NUMBER, "interval"),
        Field("Timeout", NUMBER),
        Field("StartPeriod", NUMBER),
        Field("StartInterval", NUMBER, "interval"),
        Field("Retries", NUMBER),
    )
)

CONFIG: Tuple[Field, ...] = (
    Field("Hostname", TEXT),
    Field("Domainname", TEXT),
    Field("User", TEXT, "user", always=True),
    Field("AttachStdin", FLAG),
    Field("AttachStdout", FLAG),
    Field("AttachStderr", FLAG),
    Field("ExposedPorts", MapOf(NOTHING)),
    Field("Tty", FLAG),
    Field("OpenStdin", FLAG),
    Field("StdinOnce", FLAG),
    Field("Env", TEXTS),
    Field("Cmd", WORDS),
    Field("Healthcheck", HEALTHCHECK, "struct"),
    Field("ArgsEscaped", FLAG),
    Field("Image", TEXT, "image", always=True),
    Field("Volumes", MapOf(NOTHING)),
    Field("WorkingDir", TEXT),
    Field("Entrypoint", WORDS),
    Field("NetworkDisabled", FLAG),
    Field("MacAddress", TEXT, NEVER),
    Field("OnBuild", TEXTS),
    Field("Labels", TEXT_BY_NAME, "labels", always=True),
    Field("StopSignal", TEXT),
    Field("StopTimeout", NUMBER),
    Field("Shell", TEXTS),
)
"""The configuration of a container, at the top of the body."""

DEVICE = Struct((Field("PathOnHost", TEXT), Field("PathInContainer", TEXT), Field("CgroupPermissions", TEXT)))
DEVICE_REQUEST = Struct(
    (
        Field("Driver", TEXT),
        Field("Count", NUMBER),
        Field("DeviceIDs", TEXTS),
        Field("Capabilities", ListOf(TEXTS)),
        Field("Options", TEXT_BY_NAME),
    )
)
WEIGHT_DEVICE = Struct((Field("Path", TEXT), Field("Weight", NUMBER)))
THROTTLE_DEVICE = Struct((Field("Path", TEXT), Field("Rate", NUMBER)))
ULIMIT = Struct((Field("Name", TEXT), Field("Soft", NUMBER), Field("Hard", NUMBER)))

RESOURCES: Tuple[Field, ...] = (
    Field("CpuShares", NUMBER, "cpu_shares"),
    Field("Memory", NUMBER, "memory", always=True),
    Field("CgroupParent", TEXT, NEVER),
    Field("BlkioWeight", NUMBER),
    Field("BlkioWeightDevice", ListOf(WEIGHT_DEVICE), NEVER),
    Field("BlkioDeviceReadBps", ListOf(THROTTLE_DEVICE), NEVER),
    Field("BlkioDeviceWriteBps", ListOf(THROTTLE_DEVICE), NEVER),
    Field("BlkioDeviceReadIOps", ListOf(THROTTLE_DEVICE), NEVER),
    Field("BlkioDeviceWriteIOps", ListOf(THROTTLE_DEVICE), NEVER),
    Field("CpuPeriod", NUMBER, "cpu_period"),
    Field("CpuQuota", NUMBER, "cpu_quota"),
    Field("CpuRealtimePeriod", NUMBER, NEVER),
    Field("CpuRealtimeRuntime", NUMBER, NEVER),
    Field("CpusetCpus", TEXT),
    Field("CpusetMems", TEXT),
    Field("Devices", ListOf(DEVICE), NEVER),
    Field("DeviceCgroupRules", TEXTS, NEVER),
    Field("DeviceRequests", ListOf(DEVICE_REQUEST), "device_requests"),
    Field("KernelMemory", NUMBER, NEVER),
    Field("KernelMemoryTCP", NUMBER, NEVER),
    Field("MemoryReservation", NUMBER, "memory_reservation"),
    Field("MemorySwap", NUMBER, "memory_swap"),
    Field("MemorySwappiness", NUMBER, defaults=(-1,), zero_is_set=True),
    Field("NanoCpus", NUMBER, "nano_cpus", always=True),
    Field("OomKillDisable", FLAG, NEVER),
    Field("PidsLimit", NUMBER, "pids_limit", always=True),
    Field("Ulimits", ListOf(ULIMIT), "ulimits"),
    Field("CpuCount", NUMBER, NEVER),
    Field("CpuPercent", NUMBER, NEVER),
    Field("IOMaximumIOps", NUMBER, NEVER),
    Field("IOMaximumBandwidth", NUMBER, NEVER),
)
"""The limits of a container, in ``HostConfig`` and at the top of an update."""

BIND_OPTIONS = Struct(
    (
        Field("Propagation", TEXT, "propagation"),
        Field("NonRecursive", FLAG),
        Field("CreateMountpoint", FLAG, NEVER),
        Field("ReadOnlyNonRecursive", FLAG),
        Field("ReadOnlyForceRecursive", FLAG),
    )
)
DRIVER_CONFIG = Struct((Field("Name", TEXT, "local_driver"), Field("Options", TEXT_BY_NAME, NEVER)))
VOLUME_OPTIONS = Struct(
    (
        Field("NoCopy", FLAG),
        Field("Labels", TEXT_BY_NAME, "labels", always=True),
        Field("Subpath", TEXT),
        Field("DriverConfig", DRIVER_CONFIG, "struct"),
    )
)
TMPFS_OPTIONS = Struct(
    (
        Field("SizeBytes", NUMBER, "tmpfs_size"),
        Field("Mode", NUMBER),
        Field("Options", ListOf(TEXTS), "tmpfs_options"),
    )
)
MOUNT = Struct(
    (
        Field("Type", TEXT),
        Field("Source", TEXT),
        Field("Target", TEXT),
        Field("ReadOnly", FLAG),
        Field("Consistency", TEXT),
        Field("BindOptions", BIND_OPTIONS, "struct"),
        Field("VolumeOptions", VOLUME_OPTIONS, "struct"),
        Field("ImageOptions", Struct((Field("Subpath", TEXT),)), "struct"),
        Field("TmpfsOptions", TMPFS_OPTIONS, "struct"),
        Field("ClusterOptions", Struct(()), NEVER),
    )
)
"""A mount. The rule ``mounts`` decides it by its type, with the rules of its options."""

RESTART_POLICY = Struct((Field("Name", TEXT), Field("MaximumRetryCount", NUMBER)))
LOG_CONFIG = Struct((Field("Type", TEXT), Field("Config", TEXT_BY_NAME)))
PORT_BINDING = Struct((Field("HostIp", TEXT), Field("HostPort", TEXT)))

HOST_CONFIG = Struct(
    (
        *RESOURCES,
        Field("Binds", TEXTS, "binds"),
        Field("ContainerIDFile", TEXT, DROPPED),
        Field("LogConfig", LOG_CONFIG, "log_config", defaults=({"Type": ""}, {"Type": "", "Config": {}})),
        Field("NetworkMode", TEXT, "network_mode", always=True),
        Field("PortBindings", MapOf(ListOf(PORT_BINDING), null_as=[]), "port_bindings"),
        Field("RestartPolicy", RESTART_POLICY, "restart_policy"),
        Field("AutoRemove", FLAG),
        Field("VolumeDriver", TEXT, "local_driver", defaults=("local",)),
        Field("VolumesFrom", TEXTS, "volumes_from"),
        Field("Mounts", ListOf(MOUNT), "mounts"),
        Field("ConsoleSize", ListOf(NUMBER)),
        Field("Annotations", TEXT_BY_NAME, NEVER),
        Field("CapAdd", WORDS, "capabilities"),
        Field("CapDrop", WORDS, "dropped_capabilities", always=True),
        Field("CgroupnsMode", TEXT, "cgroup_namespace", defaults=("private",), always=True),
        Field("Dns", TEXTS),
        Field("DnsOptions", TEXTS),
        Field("DnsSearch", TEXTS),
        Field("ExtraHosts", TEXTS),
        Field("GroupAdd", TEXTS, "groups"),
        Field("IpcMode", TEXT, "ipc_mode", defaults=("private",)),
        Field("Cgroup", TEXT, NEVER),
        Field("Links", TEXTS, "links"),
        Field("OomScoreAdj", NUMBER, "oom_score"),
        Field("PidMode", TEXT, "joined_namespace"),
        Field("Privileged", FLAG, NEVER),
        Field("PublishAllPorts", FLAG, "publish_all"),
        Field("ReadonlyRootfs", FLAG),
        Field("SecurityOpt", TEXTS, "security_options", always=True),
        Field("StorageOpt", TEXT_BY_NAME, "storage_options"),
        Field("Tmpfs", TEXT_BY_NAME, "tmpfs"),
        Field("UTSMode", TEXT, "host_namespace"),
        Field("UsernsMode", TEXT, "host_namespace"),
        Field("ShmSize", NUMBER, "shm_size", defaults=(64 << 20,)),
        Field("Sysctls", TEXT_BY_NAME, "sysctls"),
        Field("Runtime", TEXT, NEVER, defaults=("runc",)),
        Field("Isolation", TEXT, NEVER, defaults=("default",)),
        Field("MaskedPaths", TEXTS, "masked_paths", zero_is_set=True),
        Field("ReadonlyPaths", TEXTS, "readonly_paths", zero_is_set=True),
        Field("Init", FLAG),
        Field("Capabilities", WORDS, NEVER),
    )
)

ADDRESSES = Struct(
    (
        Field("IPv4Address", TEXT, "own_address"),
        Field("IPv6Address", TEXT, "own_address"),
        Field("LinkLocalIPs", TEXTS, NEVER),
    )
)
ENDPOINT = Struct(
    (
        Field("IPAMConfig", ADDRESSES, "struct"),
        Field("Links", TEXTS, "links"),
        Field("Aliases", TEXTS, "own_aliases"),
        Field("DriverOpts", TEXT_BY_NAME, NEVER),
        Field("GwPriority", NUMBER),
        Field("MacAddress", TEXT, "own_address"),
        Field("NetworkID", TEXT, DROPPED),
        Field("EndpointID", TEXT, DROPPED),
        Field("Gateway", TEXT, DROPPED),
        Field("IPAddress", TEXT, DROPPED),
        Field("IPPrefixLen", NUMBER, DROPPED),
        Field("IPv6Gateway", TEXT, DROPPED),
        Field("GlobalIPv6Address", TEXT, DROPPED),
        Field("GlobalIPv6PrefixLen", NUMBER, DROPPED),
        Field("DNSNames", TEXTS, DROPPED),
    )
)
"""One network of a container. What the engine fills itself is dropped: recreating clients send it back."""

NETWORKING = Struct((Field("EndpointsConfig", MapOf(ENDPOINT, null_as={}), "endpoints"),))

CONTAINER_CREATE = Struct(
    (
        *CONFIG,
        Field("HostConfig", HOST_CONFIG, "struct", always=True),
        Field("NetworkingConfig", NETWORKING, "struct"),
        Field("name", TEXT, DROPPED),
        Field("platform", TEXT, DROPPED),
    )
)
CONTAINER_UPDATE = Struct(
    (*RESOURCES, Field("RestartPolicy", RESTART_POLICY, "restart_policy"), Field("Init", FLAG, DROPPED))
)
COMMIT = Struct(
    (
        *(row for row in CONFIG if row.name not in ("Image", "User", "MacAddress")),
        Field("User", TEXT),
        Field("Image", TEXT, DROPPED),
        Field("MacAddress", TEXT, DROPPED),
        *(Field(name, TEXT, DROPPED) for name in ("container", "repo", "tag", "comment", "author")),
        Field("pause", FLAG, DROPPED),
    )
)
"""The configuration that a new image gets. dockerode repeats the parameters in it."""

EXEC_CREATE = Struct(
    (
        Field("User", TEXT, "exec_user", always=True),
        Field("Privileged", FLAG, NEVER),
        Field("Tty", FLAG),
        Field("ConsoleSize", ListOf(NUMBER)),
        Field("AttachStdin", FLAG),
        Field("AttachStdout", FLAG),
        Field("AttachStderr", FLAG),
        Field("Detach", FLAG),
        Field("DetachKeys", TEXT),
        Field("Env", TEXTS),
        Field("WorkingDir", TEXT),
        Field("Cmd", TEXTS),
        Field("Container", TEXT, DROPPED),
        Field("containerId", TEXT, DROPPED),
    )
)
EXEC_START = Struct(
    (
        Field("Detach", FLAG),
        Field("Tty", FLAG),
        Field("ConsoleSize", ListOf(NUMBER)),
        Field("ExecIDs", TEXTS, DROPPED),
        Field("DetachKeys", TEXT, DROPPED),
        Field("Privileged", FLAG, DROPPED),
        Field("User", TEXT, DROPPED),
        Field("Container", TEXT, DROPPED),
        Field("Cmd", TEXTS, DROPPED),
        Field("Env", TEXTS, DROPPED),
        Field("AttachStdin", FLAG, DROPPED),
        Field("AttachStdout", FLAG, DROPPED),
        Field("AttachStderr", FLAG, DROPPED),
        Field("hijack", FLAG, DROPPED),
        Field("stdin", FLAG, DROPPED),
    )
)
"""Old clients send the whole configuration of the exec instance again, which engines ignore."""

CLUSTER_VOLUME = Struct(())
VOLUME_CREATE = Struct(
    (
        Field("Name", TEXT, "volume_name", always=True),
        Field("Driver", TEXT, "local_driver", defaults=("local",)),
        Field("DriverOpts", TEXT_BY_NAME, "volume_options"),
        Field("Labels", TEXT_BY_NAME, "labels", always=True),
        Field("ClusterVolumeSpec", CLUSTER_VOLUME, NEVER),
    )
)

SUBNET = Struct(
    (
        Field("Subnet", TEXT),
        Field("IPRange", TEXT),
        Field("Gateway", TEXT),
        Field("AuxiliaryAddresses", TEXT_BY_NAME),
    )
)
IPAM = Struct(
    (
        Field("Driver", TEXT, NEVER, defaults=("default",)),
        Field("Options", TEXT_BY_NAME, NEVER),
        Field("Config", ListOf(SUBNET), "subnets"),
    )
)
NETWORK_CREATE = Struct(
    (
        Field("Name", TEXT, "network_name", always=True),
        Field("CheckDuplicate", FLAG, DROPPED),
        Field("Driver", TEXT, "bridge_driver", defaults=("bridge",)),
        Field("Scope", TEXT, NEVER, defaults=("local",)),
        Field("EnableIPv4", FLAG, zero_is_set=True),
        Field("EnableIPv6", FLAG),
        Field("IPAM", IPAM, "struct"),
        Field("Internal", FLAG, "internal", always=True),
        Field("Attachable", FLAG),
        Field("Ingress", FLAG, NEVER),
        Field("ConfigOnly", FLAG, NEVER),
        Field("ConfigFrom", Struct((Field("Network", TEXT),)), NEVER, defaults=({"Network": ""},)),
        Field("Options", TEXT_BY_NAME, "network_options"),
        Field("Labels", TEXT_BY_NAME, "labels", always=True),
    )
)
NETWORK_CONNECT = Struct(
    (Field("Container", TEXT, "own_container", always=True), Field("EndpointConfig", ENDPOINT, "endpoint"))
)
NETWORK_DISCONNECT = Struct((Field("Container", TEXT, "own_container", always=True), Field("Force", FLAG)))
AUTH = Struct(
    (
        Field("username", TEXT),
        Field("password", TEXT),
        Field("auth", TEXT),
        Field("email", TEXT, DROPPED),
        Field("serveraddress", TEXT, "server_address"),
        Field("identitytoken", TEXT),
        Field("registrytoken", TEXT),
    )
)
ULIMITS = ListOf(ULIMIT)

DOCUMENTS = {
    "container.create": CONTAINER_CREATE,
    "container.update": CONTAINER_UPDATE,
    "container.exec": EXEC_CREATE,
    "exec.start": EXEC_START,
    "commit": COMMIT,
    "volume.create": VOLUME_CREATE,
    "network.create": NETWORK_CREATE,
    "network.connect": NETWORK_CONNECT,
    "network.disconnect": NETWORK_DISCONNECT,
    "auth": AUTH,
}
"""The body of each route that has one."""
