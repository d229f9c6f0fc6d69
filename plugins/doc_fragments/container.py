# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the container options, in the order of the tables in module_utils/_container."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  # Rows of _container/process.py
  command:
    description: Command to run. A string is split as in a shell. The default is the command of the
      image.
    type: raw
  entrypoint:
    description: Entrypoint to pass O(command) to. The default is the entrypoint of the image. An
      entrypoint of one empty string removes the entrypoint of the image.
    type: list
    elements: str
  env:
    description: Environment variables by name. Values must be strings. The diff does not show the
      values.
    type: dict
  env_file:
    description: Path of a file on the managed node with environment variables, one C(NAME=value)
      per line. Empty lines, lines that start with C(#), and whitespace at both ends of a line are
      ignored. O(env) overrides variables of the file.
    type: path
  user:
    description:
      - User to run the main process as, by name or ID, optionally followed by a colon and a group.
        Names must exist in the image.
      - By default the image's.
      - With O(transport=tls), this user must be able to read the files of the identity.
    type: str
  groups:
    description: Additional groups of the main process, by name or ID. Names must exist in the
      image.
    type: list
    elements: str
  working_dir:
    description: Absolute path of the working directory. The default is that of the image.
    type: str
  hostname:
    description: Host name of the container.
    type: str
  domainname:
    description: Domain name of the container.
    type: str
  labels:
    description: Labels by name. Values must be strings. Names that start with C(wormhole.docker.)
      are reserved for this collection.
    type: dict
  tty:
    description: Whether to allocate a pseudo-TTY.
    type: bool
  interactive:
    description: Whether to keep the standard input open.
    type: bool
  init:
    description: Whether to run an init process that forwards signals and reaps processes.
    type: bool
  stop_signal:
    description: Signal that stops the container, such as V(SIGINT). The default is that of the
      image.
    type: str
  stop_timeout:
    description:
      - Seconds to wait for the container to stop before it is killed; V(-1) waits without a limit.
      - The default is the timeout that the container was created with.
      - A new container is created with this timeout. Changing it does not recreate the container.
    type: int
  healthcheck:
    description: Command that the engine runs to determine whether the container is healthy. Only
      the suboptions that are set are compared. Durations have the units V(h), V(m), V(s), V(ms) and
      V(us), for example V(1m30s).
    type: dict
    suboptions:
      test:
        description: Command to run. A string is run by the container's shell. A list starts with
          V(CMD), V(CMD-SHELL) or V(NONE); V(NONE) disables the image's healthcheck.
        type: raw
      test_cli_compatible:
        description: Whether the image's test is kept if O(healthcheck.test) is not set, as in
          Docker's CLI. Otherwise the healthcheck is disabled.
        type: bool
        default: false
      interval:
        description: Time between two checks. The engine's default is V(30s).
        type: str
      timeout:
        description: Maximum time of one check. The engine's default is V(30s).
        type: str
      start_period:
        description: Time after the start in which failed checks do not count. The engine's default
          is V(0s).
        type: str
      start_interval:
        description: Time between two checks during O(healthcheck.start_period). Requires API 1.44
          (Docker 25).
        type: str
      retries:
        description: Number of consecutive failures after which the container is unhealthy. The
          engine's default is 3.
        type: int
  restart_policy:
    description: When the engine restarts the container. Changing it updates the container in place.
    type: str
    choices: ['no', on-failure, always, unless-stopped]
  restart_retries:
    description: Maximum number of restarts with O(restart_policy=on-failure). Changing it updates
      the container in place.
    type: int
  auto_remove:
    description: Whether the engine removes the container when it exits. The module does not
      recreate such a container while it runs, because it could not be restored. The option cannot
      be combined with O(state=stopped).
    type: bool
  log_driver:
    description: Logging driver. The default is that of the engine.
    type: str
  log_options:
    description: Options of O(log_driver), which must be set too.
    type: dict
    aliases: [log_opt]
  # Rows of _container/storage.py
  volumes:
    description: Volumes as C(source:target[:mode]), where C(source) is a path on the host or the
      name of a volume. C(target) alone is an anonymous volume, which has no mode except C(rw).
      Paths that start with C(.) or C(~) are expanded on the managed node.
    type: list
    elements: str
  mounts:
    description: Mounts, with more settings than O(volumes). Only the suboptions that are set are
      compared.
    type: list
    elements: dict
    suboptions:
      target:
        description: Path in the container.
        type: str
        required: true
      source:
        description: Path on the host, or name of a volume or an image, depending on
          O(mounts[].type). A mount of type V(volume) without a source is anonymous.
        type: str
      type:
        description: Type of the mount. V(cluster) requires API 1.42, V(image) requires API 1.48.
        type: str
        choices: [bind, tmpfs, volume, cluster, image]
        default: volume
      read_only:
        description: Whether the mount is read-only.
        type: bool
      consistency:
        description: Consistency requirement, on engines that support it.
        type: str
        choices: [consistent, cached, delegated, default]
      propagation:
        description: Propagation mode of a V(bind) mount.
        type: str
        choices: [shared, rshared, slave, rslave, private, rprivate]
      create_mountpoint:
        description: Whether to create the source of a V(bind) mount if it does not exist. Requires
          API 1.42.
        type: bool
      non_recursive:
        description: Whether a V(bind) mount leaves out the mounts below its source.
        type: bool
      read_only_non_recursive:
        description: Whether the mounts below a read-only V(bind) mount stay writable. Requires API
          1.44.
        type: bool
      read_only_force_recursive:
        description: Whether to fail if the mounts below a V(bind) mount cannot be made read-only.
          Requires API 1.44.
        type: bool
      no_copy:
        description: Whether a new volume stays empty, instead of getting a copy of the image's
          files at O(mounts[].target).
        type: bool
      labels:
        description: Labels of a new volume.
        type: dict
      volume_driver:
        description: Driver of a new volume.
        type: str
      volume_options:
        description: Options of O(mounts[].volume_driver).
        type: dict
      subpath:
        description: Path in the volume (API 1.45) or the image (API 1.48) to mount instead of all
          of it.
        type: str
      tmpfs_size:
        description: Size of a V(tmpfs) mount, such as V(64m).
        type: str
      tmpfs_mode:
        description: Permissions of a V(tmpfs) mount as an octal number, such as V(1777).
        type: str
      tmpfs_options:
        description: Further options of a V(tmpfs) mount. Each element has one key, with a string or
          null as its value. Requires API 1.46 (Docker 27).
        type: list
        elements: dict
  tmpfs:
    description: Paths to mount a tmpfs at, optionally with options after a colon, such as
      V(/run:size=64m).
    type: list
    elements: str
  volumes_from:
    description: Containers whose volumes are mounted too, by name or ID, optionally with V(ro) or
      V(rw) after a colon.
    type: list
    elements: str
  volume_driver:
    description: Driver of the volumes that the engine creates for O(volumes).
    type: str
  storage_opts:
    description: Options of the engine's storage driver for this container, such as C(size).
    type: dict
  read_only:
    description: Whether the root file system is mounted read-only.
    type: bool
  shm_size:
    description: Size of C(/dev/shm), such as V(128m).
    type: str
  # Rows of _container/network.py, and _container/attachments.py
  networks:
    description:
      - Networks to connect the container to, instead of the default bridge.
      - C(host) or C(none) as the only network is the same as O(network_mode).
      - Changing them does not recreate the container, except for networks with a C(mac_address). If
        a network cannot be connected as requested, it is connected as before.
      - Additional networks of an existing container are kept, unless O(comparisons) contains
        C(networks=strict).
    type: list
    elements: dict
    suboptions:
      name:
        description: Name of the network.
        type: str
        required: true
      aliases:
        description: Additional names of the container on this network.
        type: list
        elements: str
      ipv4_address:
        description: Fixed IPv4 address.
        type: str
      ipv6_address:
        description: Fixed IPv6 address.
        type: str
      links:
        description: Linked containers on this network as C(container:alias).
        type: list
        elements: str
      mac_address:
        description: Fixed MAC address. Requires API 1.44 (Docker 25). Connecting an existing
          container to such a network recreates it.
        type: str
      driver_opts:
        description: Options of the network's driver.
        type: dict
      gw_priority:
        description: Priority of the network's gateway. The network with the highest number provides
          the default route. Requires API 1.48 (Docker 28).
        type: int
  network_mode:
    description:
      - Network mode. V(bridge), V(host), V(none), the name of a network, or C(container:NAME) for
        the network of another container, which requires O(transport=unix).
      - The default is the first of O(networks), or V(bridge) without O(networks).
      - C(container:NAME) is resolved to the ID of that container, also in O(pid_mode) and
        O(ipc_mode). If the name later belongs to another container, the wormhole is recreated.
    type: str
  published_ports:
    description:
      - Ports to publish on the host, as C(port), C(host:port), C(ip:host:port) or C(ip::port).
        C(port) and C(host) can be ranges, and C(/udp) or C(/sctp) can follow. V(all) publishes all
        exposed ports, like O(publish_all_ports=true).
      - Ports without an address are published at O(default_host_ip).
    type: list
    elements: str
    aliases: [ports]
  default_host_ip:
    description:
      - Address for O(published_ports) that do not name one. An empty string lets the engine choose;
        it uses all IPv4 and IPv6 addresses.
      - By default the option C(com.docker.network.bridge.host_binding_ipv4) of the first bridge in
        O(networks) that has it, otherwise V(0.0.0.0).
    type: str
  publish_all_ports:
    description: Whether to publish all ports that the image or O(exposed_ports) expose, at ports
      that the engine chooses.
    type: bool
  exposed_ports:
    description: Ports that the container listens on, as a port or a range, optionally followed by
      C(/udp) or C(/sctp).
    type: list
    elements: str
    aliases: [exposed, expose]
  etc_hosts:
    description: Additional entries of C(/etc/hosts), as addresses by host name. V(host-gateway) is
      the address of the host.
    type: dict
  dns_servers:
    description: Addresses of DNS servers.
    type: list
    elements: str
  dns_opts:
    description: Options for C(/etc/resolv.conf).
    type: list
    elements: str
  dns_search_domains:
    description: DNS search domains.
    type: list
    elements: str
  mac_address:
    description: Fixed MAC address on the first network. O(networks[].mac_address) sets it for any
      network.
    type: str
  links:
    description: Linked containers on the default bridge as C(container:alias).
    type: list
    elements: str
  # Rows of _container/resources.py
  memory:
    description:
      - Memory limit, such as V(512m) or V(2G), in units of 1024; V(0) for no limit.
      - If O(memory_swap) is not set, the limit of memory and swap together is twice as high.
      - Changing it updates the container in place.
      - Removing the limit recreates the container.
      - If the host's kernel does not support this or another limit, the task fails, unless
        O(unsupported_limits=warn).
    type: str
  memory_reservation:
    description: Soft limit of memory. The kernel tries to reduce the container to this limit when
      the host runs short of memory. Changing it updates the container in place.
    type: str
  memory_swap:
    description:
      - Limit of memory and swap together, such as V(2G). V(unlimited) or V(-1) for no limit.
      - Requires O(memory), except for V(unlimited) and V(-1).
      - Changing it updates the container in place.
    type: str
  memory_swappiness:
    description: Tendency of the kernel to swap the container's memory, from 0 to 100; V(-1) for the
      engine's default. Requires cgroup v1.
    type: int
  cpus:
    description: Number of processors that the container can use, such as V(1.5). Changing it
      updates the container in place.
    type: float
  cpu_period:
    description: Length of the scheduler's period for O(cpu_quota), in microseconds. Changing it
      updates the container in place.
    type: int
  cpu_quota:
    description: Processor time that the container can use in each O(cpu_period), in microseconds.
      O(cpus) is an alternative to both. Changing it updates the container in place.
    type: int
  cpu_shares:
    description: Relative weight of the container when processors are busy. Containers have 1024 by
      default. Changing it updates the container in place.
    type: int
  cpuset_cpus:
    description: Processors that the container can use, such as V(0-3) or V(0,1). Changing it
      updates the container in place.
    type: str
  cpuset_mems:
    description: NUMA memory nodes that the container can use, such as V(0-3) or V(0,1). Changing it
      updates the container in place.
    type: str
  pids_limit:
    description: Maximum number of processes; V(0) or V(-1) for no limit. Changing it updates the
      container in place.
    type: int
  blkio_weight:
    description: Relative weight of the container when block devices are busy, from 10 to 1000.
      Changing it updates the container in place.
    type: int
  device_read_bps:
    description: Limits of bytes per second read from devices.
    type: list
    elements: dict
    suboptions: &bytes_per_second
      path:
        description: Path of the device.
        type: str
        required: true
      rate:
        description: Bytes per second, such as V(10m).
        type: str
        required: true
  device_write_bps:
    description: Limits of bytes per second written to devices.
    type: list
    elements: dict
    suboptions: *bytes_per_second
  device_read_iops:
    description: Limits of read operations per second on devices.
    type: list
    elements: dict
    suboptions: &operations_per_second
      path:
        description: Path of the device.
        type: str
        required: true
      rate:
        description: Operations per second.
        type: int
        required: true
  device_write_iops:
    description: Limits of write operations per second on devices.
    type: list
    elements: dict
    suboptions: *operations_per_second
  oom_killer:
    description: Whether to B(disable) the OOM killer for the container.
    type: bool
  oom_score_adj:
    description: Preference of the host's OOM killer for the container, from -1000 to 1000.
    type: int
  ulimits:
    description: Limits of each process as C(name:soft[:hard]), such as V(nofile:1024:2048).
    type: list
    elements: str
  cgroup_parent:
    description: Parent cgroup of the container.
    type: str
  # Rows of _container/isolation.py
  privileged:
    description: Whether the container gets all capabilities and all devices of the host.
    type: bool
  capabilities:
    description: Capabilities to add, such as V(NET_ADMIN), or V(ALL).
    type: list
    elements: str
  cap_drop:
    description: Capabilities to drop, such as V(NET_RAW), or V(ALL).
    type: list
    elements: str
  security_opts:
    description: Security options, such as V(no-new-privileges) or V(label=type:container_t).
    type: list
    elements: str
  devices:
    description: Devices of the host to add, as C(path[:path in the container[:permissions]]).
      Permissions are a combination of C(r), C(w) and C(m).
    type: list
    elements: str
  device_requests:
    description: Devices to request from a driver, such as GPUs.
    type: list
    elements: dict
    suboptions:
      capabilities:
        description: Alternative lists of capabilities. The devices must have all capabilities of at
          least one list.
        type: list
        elements: list
      count:
        description: Number of devices; V(-1) for all.
        type: int
      device_ids:
        description: IDs of the devices.
        type: list
        elements: str
      driver:
        description: Name of the driver.
        type: str
      options:
        description: Options of the driver.
        type: dict
  device_cgroup_rules:
    description: Rules for access to devices, such as V(c 42:* rmw).
    type: list
    elements: str
  sysctls:
    description: Kernel parameters in the namespaces of the container, by name.
    type: dict
  userns_mode:
    description: User namespace mode. V(host) uses the host's users on an engine that remaps users.
    type: str
  pid_mode:
    description: PID namespace mode. V(host), or C(container:NAME) for the namespace of another
      container.
    type: str
  ipc_mode:
    description: IPC namespace mode. V(none), V(private), V(shareable), V(host), or
      C(container:NAME) for the namespace of another container.
    type: str
  uts:
    description: UTS namespace mode. V(host) uses the host's name.
    type: str
  cgroupns_mode:
    description: Cgroup namespace mode.
    type: str
    choices: [host, private]
  runtime:
    description: OCI runtime. The default is that of the engine.
    type: str
"""
