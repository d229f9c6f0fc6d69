#!/usr/bin/python
# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: wormhole_container
short_description: Launch containers that reach the Docker engine that runs them
version_added: 0.1.0
author:
  - Contributors to the wormhole.docker project (@wormhole-docker)
description:
  - Creates, updates, starts, stops and removes a container that has access to the Docker engine that runs it.
  - With O(transport=tls), the container reaches the engine by mutual TLS at the gateway of its network, as
    an identity of its own. With O(transport=unix), it gets the engine's socket and its group.
  - The identity is a client certificate that is issued, renewed and removed with the container. Its key is made on the host, stays
    there, and can be read by the user that runs in the container and by nobody else; a user's name is looked up in the image. A
    renewal reaches a container that runs, and does not restart it.
  - A task that issues nothing takes one round trip to the host, otherwise two.
  - Whatever a Docker client needs for it is set by this module, and nothing of it has to be known. The
    variables E(DOCKER_HOST), E(DOCKER_CERT_PATH) and E(DOCKER_TLS_VERIFY), the mount that goes with them,
    the group of the socket, and the name C(host.docker.internal).
  - Options have the names and meanings of M(community.docker.docker_container). Only options that are
    set are compared with the container that is there; what the image and the engine contribute never counts.
    What an engine can change without replacing the container is changed so; the reasons and the diff name each option.
  - A container is not reported as started before its wormhole was traversed from inside its own network
    namespace, with its own certificate and as its own user. The proof is repeated on every run in which the
    container runs.
  - Where a container has to be replaced, the present one is renamed and kept until the new one has been
    started and proved, and else gets its name back and runs on. Volumes are never removed, except the
    anonymous ones of a new container that failed.
options:
  name:
    description: The container's name.
    type: str
    required: true
  state:
    description:
      - V(started) has the container exist, run, and its wormhole proved.
      - V(healthy) is V(started), and waits until the container's healthcheck says that it is healthy.
      - V(present) has it exist; a container that ran before it had to be replaced runs afterwards too.
      - V(stopped) has it exist and not run.
      - V(absent) stops and removes it. An identity that was made for it goes, too, unless another container mounts it; what this
        collection has not made stays, and is told in a warning. An identity of its name that was made otherwise, such as by
        M(wormhole.docker.tls_certificates), stays.
    type: str
    choices: [absent, present, stopped, started, healthy]
    default: started
  image:
    description:
      - Reference or ID of the image. Required where a container has to be created or replaced. An image that is named by its ID has to
        be on this host, whatever O(pull) says.
      - Without it, the container that is there keeps its image, its way to the engine and its identity, which is neither renewed
        nor looked at; of the options, those count that can be changed without replacing the container. So a
        task can start and stop one of which it knows the name alone.
      - A container whose image differs from what the reference means on this host now is replaced, unless
        O(comparisons) says C(image=ignore).
    type: str
  pull:
    description:
      - V(missing) or V(false) pulls the image if a container has to be created and the image is not on this host.
      - V(always) or V(true) asks the registry on every run whether the reference means another image by now, and
        pulls it then. Check mode asks too.
      - V(never) fails if a container has to be created and the image is not on this host.
    type: raw
    choices: [never, missing, always, true, false]
    default: missing
  identity_managed:
    description:
      - Whether the identity is this module's to issue, renew and remove, with O(transport=tls).
      - With V(false) it is somebody else's. O(identity_directory) has to hold what is needed, readable for the container's user, and
        stays as it is; no authority is needed.
    type: bool
    default: true
  identity_key_type:
    description: The kind of the identity's private key. A change issues another one.
    type: str
    choices: [ecdsa-p256, ecdsa-p384, rsa-3072, rsa-4096, ed25519]
    default: ecdsa-p256
  identity_validity_days:
    description:
      - How many days the identity is valid from its issue, or until its authority expires if that is sooner. A change of this
        option alone does not reissue.
    type: int
    default: 365
  identity_renew_before_days:
    description: How many days before its end it is renewed. By default a third of O(identity_validity_days).
    type: int
  ca_directory:
    description:
      - Absolute path of the authority's directory B(on the controller); C(~) is the home directory of the user who runs
        Ansible there. See M(wormhole.docker.certificate_authority).
      - By default C(~/.wormhole/ca), as in role P(wormhole.docker.certificate_authority#role), unless O(ca_certificate_path),
        O(ca_certificate_content) or O(authority) is given. An authority is read for O(identity_managed=true) with O(transport=tls)
        only, and not for O(state=absent).
    type: str
  discover:
    description:
      - When the engine's address is worked out, with O(transport=tls) and O(transport=tcp).
      - With V(launch), this module does it, and writes it into E(DOCKER_HOST).
      - With V(runtime), a small POSIX shell program does it each time the container starts, so that a container which was moved
        to another network, or whose engine got another address, comes back by a restart and without a playbook. It takes only an
        address that listens and that the engine's certificate names, sets the variables, and becomes what O(entrypoint) and
        O(command) or the image say. The image needs C(/bin/sh); BusyBox is enough.
      - The program and the names of the engine's certificate are in C(/usr/local/lib/wormhole-docker) on the host, which is mounted
        read-only, and removed with the last container that uses it.
      - Commands of C(docker exec) and of health checks do not have the variables. They are run by
        C(/bin/sh /usr/local/lib/wormhole-docker/wormhole-discover) in front of them.
    type: str
    choices: [launch, runtime]
    default: launch
  discover_program:
    description: The program's text. It is handed over by the action plugin, and is not for tasks.
    type: str
  platform:
    description:
      - The platform that the image has to be for, as C(os[/arch[/variant]]). By default the engine's own.
      - An image on this host that is for another one is pulled again, and the container replaced.
    type: str
  verify:
    description:
      - Whether a container has to be traversed before it counts as started.
      - Set this to V(false) for containers that are meant to end by themselves. With O(detach=false) nothing is
        traversed in any case.
    type: bool
    default: true
  adopt:
    description:
      - Whether a container of that name that is no wormhole (that has no label C(wormhole.docker.managed))
        may be replaced, or removed with O(state=absent). Otherwise such a container is left alone, and the
        task fails.
    type: bool
    default: false
  recreate:
    description: Whether to replace the container even if nothing about it has to change.
    type: bool
    default: false
  comparisons:
    description:
      - How options are compared with the container that is there, by the option's name. Only options that are
        set are compared at all.
      - V(strict) wants the same value; of sets and dictionaries (such as O(labels) or O(volumes)), it wants nothing
        more than what is set here, what the image brings and what the wormhole needs.
      - V(allow_more_present) wants everything that is set to be there, and is the default for sets and dictionaries.
      - V(ignore) does not compare. What the wormhole needs is compared nevertheless.
      - The name C(*) stands for all options. With C(networks=strict), the container leaves networks that are not
        in O(networks); where that is an empty list, it leaves all, and reaches its engine by O(transport=unix) alone, as with
        O(network_mode=none). With C(image=ignore), another image is no reason to replace it, and with
        C(platform=ignore), another platform.
    type: dict
  detach:
    description:
      - Whether the container goes on by itself. With V(false), the task waits until it ends, however long that
        takes, returns RV(status) and C(Output) in RV(container), and fails if its exit code is not 0.
      - A container that has ended is started again by each run; nothing about such a container is proved.
    type: bool
  cleanup:
    description: Whether to remove the container once it has ended well, with O(detach=false).
    type: bool
    default: false
  healthy_wait_timeout:
    description: Seconds until a container that does not become healthy is given up, with O(state=healthy); 0 or less
        for never.
    type: float
    default: 300
  stop_timeout:
    description:
      - How long a container gets to stop before it is killed, in seconds; -1 for as long as it takes. By default what
        it was created with.
      - A container that is created gets it too, and a difference alone is no reason to replace it.
    type: int
  stop_signal:
    description: The signal that asks the container to stop, such as V(SIGINT). By default the image's.
    type: str
  force_kill:
    description: Whether to kill a container that has to be stopped, instead of asking it.
    type: bool
    default: false
    aliases: [forcekill]
  kill_signal:
    description: The signal for O(force_kill). A container that survives it is stopped as usual then. By default
        V(SIGKILL).
    type: str
  keep_volumes:
    description: Whether the anonymous volumes of a container stay when it is removed or replaced.
    type: bool
    default: true
  auto_remove:
    description:
      - Whether the engine removes the container when it ends.
      - Such a container is not replaced while it runs, because it could not be put back; remove it first. It cannot be
        O(state=stopped), and O(detach=false) has O(cleanup) instead.
    type: bool
  command:
    description: The command to run, as a list, or as a string that is split as a shell does. By default the
        image's.
    type: raw
  entrypoint:
    description: What O(command) is handed to. By default the image's.
    type: list
    elements: str
  env:
    description:
      - Environment variables; values have to be strings.
      - Their values do not appear in the diff.
    type: dict
  env_file:
    description:
      - A file on the managed node with variables, as C(NAME=value) a line. Lines that begin with C(#) and empty ones do
        not count, nor do blanks at both ends of a line. What is in O(env) too is taken from there.
    type: path
  user:
    description:
      - As whom to run. A number or a name that the image knows, optionally followed by a colon and a group.
      - With O(transport=tls) this user has to be able to read the identity's files.
    type: str
  groups:
    description: Further groups, by number or by a name that the image knows.
    type: list
    elements: str
  working_dir:
    description: The working directory.
    type: str
  hostname:
    description: The host name in the container.
    type: str
  domainname:
    description: The domain name in the container.
    type: str
  labels:
    description: Labels; values have to be strings. Those that begin with C(wormhole.docker.) are this
        module's.
    type: dict
  tty:
    description: Whether the container gets a pseudo terminal.
    type: bool
  interactive:
    description: Whether its standard input stays open.
    type: bool
  init:
    description: Whether to run an init process that forwards signals and reaps processes.
    type: bool
  healthcheck:
    description:
      - How the engine finds out whether the container is healthy. Only what is set is compared.
      - Durations are numbers with units V(h), V(m), V(s), V(ms) and V(us), such as V(1m30s).
    type: dict
    suboptions:
      test:
        description:
          - The command, as a string for the container's shell, or as a list that begins with V(CMD), V(CMD-SHELL)
            or V(NONE). V(NONE) switches the image's healthcheck off.
        type: raw
      test_cli_compatible:
        description: Whether leaving out O(healthcheck.test) keeps the image's test, as with Docker's CLI, instead of
            switching its healthcheck off.
        type: bool
        default: false
      interval:
        description: Time between two checks. The engine's default is V(30s).
        type: str
      timeout:
        description: Time that a check may take. The engine's default is V(30s).
        type: str
      start_period:
        description: Time in which failures do not count yet. The engine's default is V(0s).
        type: str
      start_interval:
        description: Time between two checks in the start period. Needs API 1.44 (Docker 25).
        type: str
      retries:
        description: How many failures in a row make it unhealthy. The engine's default is 3.
        type: int
  restart_policy:
    description: When the engine starts the container again. It is changed without replacing the container.
    type: str
    choices: ['no', on-failure, always, unless-stopped]
  restart_retries:
    description: How often, with O(restart_policy=on-failure).
    type: int
  log_driver:
    description: The logging driver. By default the engine's.
    type: str
  log_options:
    description: Options of O(log_driver), which has to be set too.
    type: dict
    aliases: [log_opt]
  volumes:
    description:
      - Volumes as C(source:target[:mode]), where the source is a path on the host or a volume's name, or C(target) alone for
        an anonymous volume.
      - Paths that begin with C(.) or C(~) are completed on the managed node.
    type: list
    elements: str
  mounts:
    description: Mounts, with more possibilities than O(volumes) has. Only what is set of each is compared.
    type: list
    elements: dict
    suboptions:
      target:
        description: The path in the container.
        type: str
        required: true
      source:
        description: A path on the host, or the name of a volume or an image, as O(mounts[].type) says. Without it, a
            volume is anonymous.
        type: str
      type:
        description: What is mounted. V(cluster) needs API 1.42, V(image) needs API 1.48.
        type: str
        choices: [bind, tmpfs, volume, cluster, image]
        default: volume
      read_only:
        description: Whether it cannot be written to.
        type: bool
      consistency:
        description: How consistent it has to be, on engines that know the difference.
        type: str
        choices: [consistent, cached, delegated, default]
      propagation:
        description: Whether mounts below it appear on the other side too, for V(bind).
        type: str
        choices: [shared, rshared, slave, rslave, private, rprivate]
      create_mountpoint:
        description: Whether to make the path on the host, for V(bind). Needs API 1.42.
        type: bool
      non_recursive:
        description: Whether mounts below it are left out, for V(bind).
        type: bool
      read_only_non_recursive:
        description: Whether mounts below it can be written to although it cannot, for V(bind). Needs API 1.44.
        type: bool
      read_only_force_recursive:
        description: Whether to fail if mounts below it cannot be made read-only, for V(bind). Needs API 1.44.
        type: bool
      no_copy:
        description: Whether a new volume stays empty, instead of getting what the image has there.
        type: bool
      labels:
        description: Labels of a new volume.
        type: dict
      volume_driver:
        description: Driver of a new volume.
        type: str
      volume_options:
        description: Options of that driver.
        type: dict
      subpath:
        description: A path in the volume (API 1.45) or image (API 1.48), to mount instead of all of it.
        type: str
      tmpfs_size:
        description: Size of a V(tmpfs), such as V(64m).
        type: str
      tmpfs_mode:
        description: Permissions of a V(tmpfs), as an octal number such as V(1777).
        type: str
      tmpfs_options:
        description: Further options of a V(tmpfs), each as a mapping of one name to a string, or to null if it has no value.
            Needs API 1.46 (Docker 27).
        type: list
        elements: dict
  tmpfs:
    description: Paths at which a tmpfs is mounted, with options after a colon, such as V(/run:size=64m).
    type: list
    elements: str
  volumes_from:
    description: Containers whose volumes are mounted too, with V(ro) or V(rw) after a colon.
    type: list
    elements: str
  volume_driver:
    description: Driver of the volumes that the engine makes for O(volumes).
    type: str
  storage_opts:
    description: Options for the engine's storage driver, such as C(size).
    type: dict
  read_only:
    description: Whether the container's root file system is mounted read-only.
    type: bool
  shm_size:
    description: Size of C(/dev/shm), such as V(128m).
    type: str
  networks:
    description:
      - Networks to join instead of the default bridge. Networks are attached without replacing the
        container. One that cannot be attached otherwise, such as with an address that is taken, is attached as before.
      - Further networks that the container is on are left alone unless O(comparisons) says C(networks=strict).
    type: list
    elements: dict
    suboptions:
      name:
        description: The network's name.
        type: str
        required: true
      aliases:
        description: Further names of the container on that network.
        type: list
        elements: str
      ipv4_address:
        description: A fixed IPv4 address.
        type: str
      ipv6_address:
        description: A fixed IPv6 address.
        type: str
      links:
        description: Other containers on that network, as C(container:alias).
        type: list
        elements: str
      mac_address:
        description: A fixed MAC address. Needs API 1.44 (Docker 25). To attach a container with one takes a new container.
        type: str
      driver_opts:
        description: Options for the network's driver.
        type: dict
      gw_priority:
        description: The network with the highest number has the container's default route. Needs API 1.48 (Docker 28).
        type: int
  network_mode:
    description:
      - V(bridge), V(host), V(none) or a network's name. By default the first of O(networks), else V(bridge).
      - C(container:NAME) is the network of another container, with O(transport=unix). With the others it is refused, because the
        wormhole's gateway would be that container's affair.
      - Of a name, the ID counts, here and for O(pid_mode) and O(ipc_mode). If another container has the name by now, the wormhole is
        replaced.
    type: str
  published_ports:
    description:
      - Ports to publish on the host, as C(port), C(host:port), C(ip:host:port) or C(ip::port), where C(port)
        and C(host) may be ranges and C(/udp) or C(/sctp) may follow; or V(all), which is O(publish_all_ports=true).
      - A port that names no address is published at O(default_host_ip).
    type: list
    elements: str
    aliases: [ports]
  default_host_ip:
    description:
      - Where O(published_ports) are published that name no address. An empty string leaves it to the engine, which takes
        all addresses, of IPv6 too.
      - By default what the first of O(networks) says that is a bridge with the option
        C(com.docker.network.bridge.host_binding_ipv4), else V(0.0.0.0). As long as a container runs that was created
        without an address, it is replaced only if it is published elsewhere than there.
    type: str
  publish_all_ports:
    description: Whether to publish all ports that the image or O(exposed_ports) expose, each at a port of the
        engine's choice.
    type: bool
  exposed_ports:
    description: Ports on which the container listens, as C(port) or a range, where C(/udp) or C(/sctp) may follow.
    type: list
    elements: str
    aliases: [exposed, expose]
  etc_hosts:
    description: Addresses by host name, for C(/etc/hosts); V(host-gateway) is the host's address.
    type: dict
  dns_servers:
    description: Addresses of name servers.
    type: list
    elements: str
  dns_opts:
    description: Options for C(/etc/resolv.conf).
    type: list
    elements: str
  dns_search_domains:
    description: Domains in which names are looked up.
    type: list
    elements: str
  mac_address:
    description: A fixed MAC address on the first network. O(networks[].mac_address) is the newer way.
    type: str
  links:
    description: Other containers on the default bridge, as C(container:alias).
    type: list
    elements: str
  memory:
    description:
      - Limit of memory, such as V(512m) or V(2G), with units of 1024.
      - It is changed without replacing the container, as are all limits of resources unless noted otherwise, and except
        that a limit cannot be taken away so. Limits that the host's kernel cannot fulfil are refused, because the engine
        would ignore them.
      - The limit of memory and swap together becomes twice as much unless O(memory_swap) is set, as at creation.
    type: str
  memory_reservation:
    description: Memory to which the container is reduced when the host runs short of it.
    type: str
  memory_swap:
    description: Limit of memory and swap together, or V(unlimited) or V(-1). Needs O(memory) unless it is without limit.
    type: str
  memory_swappiness:
    description: How readily the container's memory is swapped, from 0 to 100, on hosts with cgroup v1. It is
        changed by replacing the container.
    type: int
  cpus:
    description: How many processors it may use up, such as V(1.5).
    type: float
  cpu_period:
    description: Length of the period to which O(cpu_quota) applies, in microseconds. O(cpus) is the easier way.
    type: int
  cpu_quota:
    description: Time of processors that it may use in each period, in microseconds.
    type: int
  cpu_shares:
    description: Its share of the processors where they are scarce; 1024 is that of other containers.
    type: int
  cpuset_cpus:
    description: Processors on which it may run, such as V(0-3) or V(0,1).
    type: str
  cpuset_mems:
    description: Memory nodes that it may use, such as V(0-3) or V(0,1).
    type: str
  pids_limit:
    description: How many processes it may have; -1 for any number.
    type: int
  blkio_weight:
    description: Its share of block devices where they are scarce, from 10 to 1000.
    type: int
  device_read_bps:
    description: Limits of reading from devices. They are changed by replacing the container.
    type: list
    elements: dict
    suboptions:
      path:
        description: Path of the device.
        type: str
        required: true
      rate:
        description: Bytes per second, such as V(10m).
        type: str
        required: true
  device_write_bps:
    description: Limits of writing to devices. They are changed by replacing the container.
    type: list
    elements: dict
    suboptions:
      path:
        description: Path of the device.
        type: str
        required: true
      rate:
        description: Bytes per second, such as V(10m).
        type: str
        required: true
  device_read_iops:
    description: Limits of reading from devices. They are changed by replacing the container.
    type: list
    elements: dict
    suboptions:
      path:
        description: Path of the device.
        type: str
        required: true
      rate:
        description: Operations per second.
        type: int
        required: true
  device_write_iops:
    description: Limits of writing to devices. They are changed by replacing the container.
    type: list
    elements: dict
    suboptions:
      path:
        description: Path of the device.
        type: str
        required: true
      rate:
        description: Operations per second.
        type: int
        required: true
  oom_killer:
    description: Whether to B(disable) the killing of the container's processes when it runs out of memory. It is changed by
        replacing the container.
    type: bool
  oom_score_adj:
    description: How readily they are killed when the host runs out of memory, from -1000 to 1000. It is changed
        by replacing the container.
    type: int
  ulimits:
    description: Limits of each process, as C(name:soft[:hard]), such as V(nofile:1024:2048). They are changed by replacing
        the container.
    type: list
    elements: str
  cgroup_parent:
    description: The cgroup in which the container's own is made.
    type: str
  privileged:
    description: Whether the container gets all capabilities and devices of the host.
    type: bool
  capabilities:
    description: Capabilities to add, such as V(NET_ADMIN).
    type: list
    elements: str
  cap_drop:
    description: Capabilities to take away, such as V(NET_RAW), or V(ALL).
    type: list
    elements: str
  security_opts:
    description: Security options, such as V(no-new-privileges) or V(label=type:container_t).
    type: list
    elements: str
  devices:
    description: Devices of the host, as C(path[:path in the container[:permissions]]).
    type: list
    elements: str
  device_requests:
    description: Devices that a driver finds, such as GPUs.
    type: list
    elements: dict
    suboptions:
      capabilities:
        description: Lists of capabilities, one of which the devices have to fulfil.
        type: list
        elements: list
      count:
        description: How many devices; -1 for all.
        type: int
      device_ids:
        description: Which devices.
        type: list
        elements: str
      driver:
        description: Which driver.
        type: str
      options:
        description: Options of the driver.
        type: dict
  device_cgroup_rules:
    description: Rules for devices, such as V(c 42:* rmw).
    type: list
    elements: str
  sysctls:
    description: Parameters of the kernel in the container's namespaces.
    type: dict
  userns_mode:
    description: V(host) switches the mapping of users off on engines that have it.
    type: str
  pid_mode:
    description: V(host), or C(container:NAME), to see the processes of the host or of another container.
    type: str
  ipc_mode:
    description: V(none), V(private), V(shareable), V(host) or C(container:NAME).
    type: str
  uts:
    description: V(host) to have the host's name.
    type: str
  cgroupns_mode:
    description: Whose cgroups it sees.
    type: str
    choices: [host, private]
  runtime:
    description: The runtime that runs it. By default the engine's.
    type: str
extends_documentation_fragment:
  - wormhole.docker.authority
  - wormhole.docker.wiring
  - wormhole.docker.docker
  - wormhole.docker.attributes
notes:
  - Engines that remap users (C(userns-remap)) are refused with O(transport=unix), because no user of a container is in the
    socket's group there. With O(transport=tls), the identity belongs to the number that the user has on the host.
  - Rootless engines are refused with O(transport=tls) and O(transport=tcp), because their bridges are in another network
    namespace.
  - On engines that confine containers by SELinux, O(transport=unix) and O(shared_directory) are refused for confined containers,
    and the identity is mounted with the option C(z). This is decided by what the engine says of itself, and has not been
    tested on such hosts.
  - Wormholes that share an identity have to run as the same user, because a key has one owner; others are refused.
  - While one authority takes over from another, an identity of the former one stays as it is; playbook C(wormhole.docker.rotate)
    reissues it. What else M(wormhole.docker.tls_certificates) does for a client, its way of renewing included, is done here too.
  - A task that fails to create a container removes the identity that it has made for it, and gives one that was there back to the
    user of the container that runs on.
  - In check mode nothing is signed and no key is made. If the authority does not exist yet, check mode assumes that another task
    is going to make it.
  - "Of docker_container's options, these are not here. C(container_default_behavior), C(networks_cli_compatible),
    C(command_handling) and C(debug) choose between older behaviours; this module has docker_container's
    present defaults. C(image_comparison), C(image_label_mismatch) and C(image_name_mismatch) have nothing to decide, because
    what an image brings and its mere name never count. C(pull_check_mode_behavior): check mode knows what a pull would
    change. C(kernel_memory) was given up by Docker. C(paused): what somebody has paused is left so. C(restart): use a
    handler that stops and starts it, or O(recreate). C(output_logs): the output is in the result. C(removal_wait_timeout)
    is what the option C(timeout) is."
  - What YAML makes a boolean of is refused, also in O(log_options) and O(sysctls), where docker_container converts it; in
    O(mounts[].labels) and O(mounts[].volume_options) it becomes V(true) or V(false), as there.
  - Without O(image), a container that would have to be replaced is refused, where docker_container takes the image that it has.
seealso:
  - module: wormhole.docker.tls_certificates
  - module: wormhole.docker.dockerd_listener
  - module: wormhole.docker.endpoint_info
"""

EXAMPLES = r"""
- name: A build agent that builds images with its host's engine
  wormhole.docker.wormhole_container:
    name: agent
    image: registry.example.com/ci/agent:7
    restart_policy: unless-stopped
    networks:
      - name: ci

- name: A tool that manages containers and has no network
  wormhole.docker.wormhole_container:
    name: watcher
    image: registry.example.com/tools/watcher:2
    transport: unix
    network_mode: none

- name: The same with an authority from a vault, for a controller that keeps no disk
  wormhole.docker.wormhole_container:
    name: agent
    image: registry.example.com/ci/agent:7
    ca_certificate_content: "{{ vault_ca_certificate }}"
    ca_private_key_content: "{{ vault_ca_key }}"

- name: A wormhole whose identity comes from elsewhere
  wormhole.docker.wormhole_container:
    name: deployer
    image: registry.example.com/ci/deployer:3
    user: "1000"
    identity_managed: false
    identity_directory: /srv/pki/deployer

- name: A service with limits, a healthcheck and data of its own
  wormhole.docker.wormhole_container:
    name: runner
    image: registry.example.com/ci/runner:3
    state: healthy
    restart_policy: unless-stopped
    env_file: /etc/runner/env
    memory: 2g
    cpus: 1.5
    pids_limit: 500
    cap_drop: [ALL]
    security_opts: [no-new-privileges]
    read_only: true
    tmpfs: ["/tmp:size=256m"]
    mounts:
      - type: volume
        source: runner-data
        target: /data
    healthcheck:
      test: [CMD, /bin/runner, status]
      interval: 10s

- name: A job that builds an image and ends
  wormhole.docker.wormhole_container:
    name: build
    image: docker:cli
    command: docker build -t app:1 https://git.example.com/app.git
    detach: false
    cleanup: true
  register: build

- name: On exactly these networks, and with exactly these labels
  wormhole.docker.wormhole_container:
    name: agent
    image: registry.example.com/ci/agent:7
    networks:
      - name: ci
        aliases: [agent]
        ipv4_address: 172.18.0.9
    labels:
      team: ci
    comparisons:
      networks: strict
      labels: strict
      image: ignore

- name: No agent any more
  wormhole.docker.wormhole_container:
    name: agent
    state: absent
"""

RETURN = r"""
reasons:
  description: Why something had to change.
  returned: success
  type: list
  elements: dict
  contains:
    code:
      description: A stable identifier. Those of the identity begin with C(identity_).
      type: str
      sample: env_differs
    text:
      description: A sentence.
      type: str
      sample: "env DOCKER_HOST: expected tcp://172.17.0.1:2376, found tcp://172.18.0.1:2376; takes a new container"
    subject:
      description: The container's name.
      type: str
      sample: agent
container:
  description:
    - The container as the engine's inspection tells it, with the values of its environment variables; empty
      if there is none. In check mode the one that is there now.
  returned: success
  type: dict
  contains:
    Output:
      description: What the container has written, with O(detach=false).
      type: str
      sample: done
certificate:
  description:
    - The identity's certificate after the task (in check mode, before it), as RV(wormhole.docker.tls_certificates#module:certificates)
      has it, without C(reasons). Empty where no identity is looked after.
  returned: success
  type: dict
  sample:
    directory: /etc/wormhole/identities/agent
    profile: client
    subject: CN=agent
    common_name: agent
    subject_alternative_names: []
    serial: 5DF1A3B3977E9B2F94FCC1346E94CEB88222B2A0
    fingerprint_sha256: 56dbcacd0f8c9020511b72ff2302c8f7fed36167fff56593ae63e51d8c3d172e
    issuer: CN=wormhole.docker CA
    not_before: "2026-11-23T20:19:27Z"
    not_after: "2027-11-23T21:19:27Z"
    days_left: 364
left:
  description:
    - What stays of the identity because this collection did not write it, or somebody has changed it since, by directory; names of
      files. In check mode, what would stay.
  returned: success, with O(state=absent)
  type: dict
  sample:
    /etc/wormhole/identities/agent: ["notes.txt"]
requests:
  description:
    - A certificate signing request in PEM form, by the identity's name, if O(authority) is given and the identity has to be issued.
      The key waits on the host. Nothing else is returned then but C(changed) and RV(certificates).
  returned: with O(authority), if something has to be issued and O(issued) is not given
  type: dict
  sample:
    agent: "-----BEGIN CERTIFICATE REQUEST-----\nMIHuMIGV..."
certificates:
  description:
    - What may be signed for RV(requests), as O(wormhole.docker.certificate_signature#module:certificates) takes it; made of the task
      on the controller.
  returned: with RV(requests)
  type: list
  elements: dict
  sample:
    - name: agent
      profile: client
      directory: /etc/wormhole/identities/agent
      key_type: ecdsa-p256
      validity_days: 365
status:
  description: The exit code of the container that this run has waited for, with O(detach=false).
  returned: if a container was waited for
  type: int
  sample: 0
output:
  description: What a container has written that ended with another exit code than 0, with O(detach=false).
  returned: on failure, if a container was waited for
  type: str
  sample: "cannot open Dockerfile"
wormhole:
  description: How the container reaches its engine; empty with O(state=absent).
  returned: success
  type: dict
  contains:
    transport:
      description: The transport.
      type: str
      sample: tls
    docker_host:
      description:
        - The engine's address, as the container's E(DOCKER_HOST) has it.
        - With O(discover=runtime), what a running container settled on; otherwise what it is expected to.
      type: str
      sample: tcp://172.17.0.1:2376
    address:
      description: The address alone; empty with O(transport=unix).
      type: str
      sample: 172.17.0.1
    port:
      description: The port alone; 0 with O(transport=unix).
      type: int
      sample: 2376
    identity:
      description: The name by which the engine knows the wormhole; empty with O(transport=unix).
      type: str
      sample: agent
    identity_directory:
      description: Where that identity is on the host; empty with O(transport=unix).
      type: str
      sample: /etc/wormhole/identities/agent
    proved:
      description: Whether the wormhole was traversed in this run.
      type: bool
      sample: true
"""

from datetime import datetime, timezone
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.wormhole.docker.plugins.module_utils._adapters import certificate_store, x509
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.engine import parse_socket_path
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.env_file import with_env_file
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.host_paths import with_host_paths
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.managed_wormhole import (
    ManagedWormhole,
)
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.wormhole_proof import (
    WormholeProver,
    traverse,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.certificate_plan import (
    describe_certificate,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.certificates import (
    Authority,
    IssueCertificate,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.plan import Plan
from ansible_collections.wormhole.docker.plugins.module_utils._core.proxies import proxy_warnings
from ansible_collections.wormhole.docker.plugins.module_utils._core.wiring_spec import TLS, plaintext_warnings
from ansible_collections.wormhole.docker.plugins.module_utils._core.wormhole import ABSENT
from ansible_collections.wormhole.docker.plugins.module_utils._core.wormhole_identity import ManagedState
from ansible_collections.wormhole.docker.plugins.module_utils._core.wormhole_plan import (
    wiring_of,
    wiring_spec_of,
)
from ansible_collections.wormhole.docker.plugins.module_utils._glue.authority import unpack_authority
from ansible_collections.wormhole.docker.plugins.module_utils._glue.certificates import SIGNING_ARGUMENTS
from ansible_collections.wormhole.docker.plugins.module_utils._glue.connection import open_engine
from ansible_collections.wormhole.docker.plugins.module_utils._glue.execute import execute, run
from ansible_collections.wormhole.docker.plugins.module_utils._glue.issue import (
    require_signatures,
    with_requests,
)
from ansible_collections.wormhole.docker.plugins.module_utils._glue.wormhole import (
    WORMHOLE_ARGUMENTS,
    parse_wormhole,
)


def ensure(module: AnsibleModule) -> dict[str, Any]:
    spec, identity = parse_wormhole(
        with_host_paths(with_env_file(module.params)), parse_socket_path(module.params["docker_host"])
    )
    authority, issued = Authority(), module.params["issued"]
    if identity is not None:
        x509.require()
        authority = unpack_authority(module.params["authority"] or {})
    now = datetime.now(timezone.utc)
    engine = open_engine(module.params)
    prover = WormholeProver(engine, traverse)
    wormhole = ManagedWormhole(
        spec, identity, engine, prover.prove, authority, now, await_health=prover.await_health
    )

    def request(action: IssueCertificate) -> str:
        return certificate_store.make_request(action.spec, keep_key=action.keep_key)

    def describe(state: ManagedState, plan: Plan[Any]) -> dict[str, Any]:
        left = wormhole.kept(plan)
        for path, names in left.items():
            module.warn(f"{path} stays with what was not made by this module: {', '.join(names)}")
        container = state.wormhole.container
        if spec.state == ABSENT:
            return {"container": container or {}, "wormhole": {}, "certificate": {}, "left": left}
        ended = wormhole.host.ended
        proved = wormhole.plan(state).is_empty and wormhole.host.prove_running(container)
        wired = wiring_spec_of(spec, state.wormhole)
        wiring = wormhole.host.settled(container, wiring_of(spec, state.wormhole))
        variables = ((container or {}).get("Config") or {}).get("Env") or ()
        for text in proxy_warnings(spec.name, variables, wiring.docker_host, tls=wired.transport == TLS):
            module.warn(text)
        certificate = (
            {} if identity is None else describe_certificate(identity, state.identity.certificate, (), now)
        )
        certificate.pop("reasons", None)
        return {
            **({} if ended is None else {"status": ended.status}),
            "container": {**(container or {}), **({} if ended is None else {"Output": ended.output})},
            "certificate": certificate,
            "wormhole": {
                "transport": wired.transport,
                "docker_host": wiring.docker_host,
                "address": wiring.address,
                "port": wiring.port,
                "identity": wired.identity if wired.transport == TLS else "",
                "identity_directory": wired.identity_directory if wired.transport == TLS else "",
                "proved": proved,
            },
        }

    result = with_requests(
        lambda: execute(
            check_mode=module.check_mode,
            subject=f"wormhole {spec.name}",
            observe=wormhole.observe,
            plan=wormhole.plan,
            apply=lambda plan: wormhole.apply(
                plan, lambda part: require_signatures(part, request, issued), issued or {}
            ),
            describe=describe,
        )
    )
    warnings = plaintext_warnings(spec.wiring) if spec.state != ABSENT and spec.image else []
    return {**result, **({"warnings": warnings} if warnings else {})}


def main() -> None:
    run(
        AnsibleModule(
            argument_spec={**SIGNING_ARGUMENTS, **WORMHOLE_ARGUMENTS, "discover_program": {"type": "str"}},
            supports_check_mode=True,
        ),
        ensure,
    )


if __name__ == "__main__":
    main()
