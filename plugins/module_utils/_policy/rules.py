# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rules that the tables of :mod:`_policy.bodies` name.

A rule is a function of the scope, a value, and the place of the value for messages. It returns the value to
forward, or ``DROP`` to leave the field out. The value is None if the field is not set and its row says
``always``. It raises ``Refusal``, or ``Pending`` if it has to ask the engine.
"""

from __future__ import annotations

from typing import Mapping

from . import rules_images, rules_labels, rules_limits, rules_mounts, rules_network, rules_security
from .call import Json
from .scope import Rule, RuleResult, Scope


def own_container(scope: Scope, value: Json, where: str) -> RuleResult:
    """The container of a connection, which may be the identity's own."""
    reach = scope.policy.reach(scope.route.power)
    found = scope.find("container", value or "")
    if found is not None and (reach == "all" or scope.is_own(found) or scope.is_me(found)):
        return found.id
    return scope.own_container(value or "", me=True).id


RULES: Mapping[str, Rule] = {
    "never": rules_security.never,
    "own_container": own_container,
    "image": rules_images.image,
    "server_address": rules_images.server_address,
    "labels": rules_labels.labels,
    # Security
    "user": rules_security.user,
    "exec_user": rules_security.exec_user,
    "capabilities": rules_security.capabilities,
    "dropped_capabilities": rules_security.dropped_capabilities,
    "security_options": rules_security.security_options,
    "masked_paths": rules_security.masked_paths,
    "readonly_paths": rules_security.readonly_paths,
    "host_namespace": rules_security.host_namespace,
    "cgroup_namespace": rules_security.cgroup_namespace,
    "joined_namespace": rules_security.joined_namespace,
    "ipc_mode": rules_security.ipc_mode,
    "groups": rules_security.groups,
    "sysctls": rules_security.sysctls,
    "log_config": rules_security.log_config,
    "device_requests": rules_security.device_requests,
    "restart_policy": rules_security.restart_policy,
    # Limits
    "memory": rules_limits.memory,
    "memory_swap": rules_limits.memory_swap,
    "memory_reservation": rules_limits.memory_reservation,
    "nano_cpus": rules_limits.nano_cpus,
    "cpu_quota": rules_limits.cpu_quota,
    "cpu_period": rules_limits.cpu_period,
    "cpu_shares": rules_limits.cpu_shares,
    "pids_limit": rules_limits.pids_limit,
    "shm_size": rules_limits.shm_size,
    "ulimits": rules_limits.ulimits,
    "oom_score": rules_limits.oom_score,
    "interval": rules_limits.interval,
    "storage_options": rules_limits.storage_options,
    "tmpfs": rules_limits.tmpfs,
    "tmpfs_size": rules_limits.tmpfs_size,
    "tmpfs_options": rules_limits.tmpfs_options,
    # Mounts and volumes
    "binds": rules_mounts.binds,
    "mounts": rules_mounts.mounts,
    "propagation": rules_mounts.propagation,
    "local_driver": rules_mounts.local_driver,
    "volumes_from": rules_mounts.volumes_from,
    "volume_name": rules_mounts.volume_name,
    "volume_options": rules_mounts.volume_options,
    # Networks and ports
    "network_mode": rules_network.network_mode,
    "endpoints": rules_network.endpoints,
    "endpoint": rules_network.endpoint,
    "own_address": rules_network.own_address,
    "own_aliases": rules_network.own_aliases,
    "links": rules_network.links,
    "port_bindings": rules_network.port_bindings,
    "publish_all": rules_network.publish_all,
    "network_name": rules_network.network_name,
    "bridge_driver": rules_network.bridge_driver,
    "internal": rules_network.internal,
    "network_options": rules_network.network_options,
    "subnets": rules_network.subnets,
}
