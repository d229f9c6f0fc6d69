#!/usr/bin/python
# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: wormhole_container
short_description: Run a container with access to its Docker engine
version_added: 0.1.0
author: Contributors to the wormhole.docker project (@wormhole-docker)
description:
  - Creates, updates, starts, stops and removes a container that has access to the Docker engine
    that runs it. Such a container is called a wormhole.
  - With O(transport=tls), the container connects to the engine by mutual TLS at the gateway of its
    network, with an identity of its own. With O(transport=unix), the engine's socket is mounted.
  - The identity is a client certificate. It is issued, renewed and removed with the container. Its
    private key is generated on the host and stays there. Only root and the user of the container's
    main process, or O(identity_owner) if that is set, can read it. A renewal does not restart the
    container.
  - The module sets everything that a Docker client in the container needs. This includes the
    variables E(DOCKER_HOST), E(DOCKER_CERT_PATH), E(DOCKER_TLS_VERIFY) and E(DOCKER_CONTEXT), the
    mount of the identity or the socket, the group of the socket, and the host name
    C(host.docker.internal). A task may set them to the same values, but not to others. Variables
    of the task or of the image that redirect clients, such as E(ALL_PROXY), or change what they
    trust, such as E(REQUESTS_CA_BUNDLE), cause a warning.
  - Before a container is reported as started, the module connects to the engine from inside the
    container's network namespace, with the container's certificate and as the container's user. It
    repeats this on every run in which the container runs. See O(verify).
  - Options have the names and meanings of M(community.docker.docker_container). Only options that
    are set are compared with an existing container, so values from the image or the engine are
    never differences.
  - Changing an option of the container recreates the container, unless the description of the
    option says otherwise. The reasons and the diff name each option. The new container is created
    as C(NAME.wormhole-next) first. The previous container is then stopped, and kept as
    C(NAME.wormhole-former) until the new one is started and verified. If that fails, the previous
    container is restored. Volumes are kept, except the anonymous volumes of a new container that
    failed.
  - A task takes one round trip to the host, or two if it issues a certificate.
options:
  name:
    description: Name of the container.
    type: str
    required: true
  state:
    description:
      - V(started) ensures that the container exists and runs, and verifies its access to the
        engine.
      - V(healthy) also waits until the container's healthcheck succeeds.
      - V(present) ensures that the container exists. If it ran before it was recreated, it is
        started again.
      - V(stopped) ensures that the container exists and does not run.
      - V(absent) stops and removes the container. It also removes the identity that this module
        issued for it, unless another container mounts it. Files in its directory that this
        collection did not create are kept, with a warning. An identity of the same name that was
        issued in another way, for example by M(wormhole.docker.tls_certificates), is kept.
    type: str
    choices: [absent, present, stopped, started, healthy]
    default: started
  image:
    description:
      - Name or ID of the image. Required if the container has to be created or recreated. An image
        that is given as an ID must exist on the host, whatever O(pull) is.
      - If the image on the host that the name refers to has changed, the container is recreated,
        unless O(comparisons) contains C(image=ignore).
      - Without this option, an existing container keeps its image, its access to the engine and its
        identity. The identity is neither checked nor renewed. A task can then start and stop a
        container that it only knows by name. Changes that would recreate the container fail.
    type: str
  pull:
    description:
      - When to pull the image.
      - V(missing) or V(false) pulls it if a container has to be created and the image is not on the
        host.
      - V(always) or V(true) asks the registry on every run, also in check mode, and pulls the image
        if it differs.
      - V(never) does not pull. The task fails if a container has to be created and the image is not
        on the host.
    type: raw
    choices: [never, missing, always, true, false]
    default: missing
  identity_managed:
    description: Whether this module issues, renews and removes the identity, with O(transport=tls).
      With V(false), O(identity_directory) must contain an identity that the container's user can
      read. It is not changed, and no authority is required.
    type: bool
    default: true
  identity_owner:
    description:
      - User in the container to whom the key of the identity belongs, as an ID or as a name in
        C(/etc/passwd) of the image. Only this user and root can read the private key. A group after
        a colon is accepted, as in O(user). By default the user of the container's main process.
      - Set it for an image that starts as root and drops its privileges, for example with C(su),
        C(gosu) or C(setpriv). The access to the engine is then verified as this user.
      - Requires O(transport=tls) and O(identity_managed=true). Changing it recreates the container.
    type: str
  identity_key_type:
    description: Type of the identity's private key. Changing it issues a new identity.
    type: str
    choices: [ecdsa-p256, ecdsa-p384, rsa-3072, rsa-4096, ed25519]
    default: ecdsa-p256
  identity_validity_days:
    description: Number of days for which a new certificate is valid. A certificate expires no later
      than its authority. Changing this option alone does not issue a new certificate.
    type: int
    default: 365
  identity_renew_before_days:
    description: Number of days before its expiry at which the certificate is renewed. By default a
      third of O(identity_validity_days).
    type: int
  ca_directory:
    description:
      - Absolute path of the authority's directory B(on the controller). C(~) is the home directory
        of the user who runs Ansible. See M(wormhole.docker.certificate_authority).
      - By default, the authority of this host in role
        P(wormhole.docker.certificate_authority#role), by the variables
        C(certificate_authority_directory) and C(certificate_authority_scope), unless
        O(ca_certificate_path), O(ca_certificate_content) or O(authority) is set.
      - An authority is only read with O(transport=tls) and O(identity_managed=true), and not for
        O(state=absent).
    type: str
  discover:
    description:
      - When the engine's address is determined, with O(transport=tls) and O(transport=tcp).
      - V(launch) determines it in this module and sets E(DOCKER_HOST).
      - V(runtime) determines it each time the container starts. If the address or the network
        changes, restarting the container is enough. A POSIX shell program runs first, and then
        starts O(entrypoint) and O(command). It uses an address that listens and that is in the
        engine's certificate, and sets E(DOCKER_HOST) and the other variables. The image must have
        C(/bin/sh); BusyBox is sufficient.
      - The program is in C(/usr/local/lib/wormhole-docker) on the host. This directory is mounted
        read-only. The program is removed with the last container that uses it.
      - Commands of C(docker exec) and healthchecks do not have the variables. Put C(/bin/sh
        /usr/local/lib/wormhole-docker/wormhole-discover) in front of them.
    type: str
    choices: [launch, runtime]
    default: launch
  discover_program:
    description: Internal. The action plugin sets it to the text of the program for
      O(discover=runtime).
    type: str
  platform:
    description: Platform of the image as C(os[/arch[/variant]]). By default the engine's own. If
      the image on the host is for another platform, it is pulled and the container is recreated.
    type: str
  verify:
    description: Whether to verify the access to the engine from inside the running container. Set
      this to V(false) for containers that exit by themselves. With O(detach=false), the access is
      never verified.
    type: bool
    default: true
  adopt:
    description: Whether to replace a container of this name that this module has not created, or
      with O(state=absent) to remove it. With V(false), the task fails instead. Containers of this
      module have the label C(wormhole.docker.managed).
    type: bool
    default: false
  recreate:
    description: Whether to recreate the container even if nothing has changed.
    type: bool
    default: false
  restart:
    description:
      - Whether to restart a container that already runs, with O(state=started) and
        O(state=healthy). Every run then reports a change.
      - The container is stopped as with O(stop_timeout); O(force_kill) does not apply.
      - A container that the task creates, recreates or starts is not restarted in addition.
    type: bool
    default: false
  paused:
    description:
      - Whether the processes of the container are paused, with O(state=started). With other states,
        the option has no effect.
      - A new or changed container is verified before it is paused. A paused container is verified
        like others, because the verification runs no program in the container.
      - By default, a paused container stays paused until it is restarted or recreated.
      - V(true) cannot be combined with O(state=healthy), because the healthcheck of a paused
        container does not run, or with O(detach=false).
    type: bool
  image_name_mismatch:
    description: Whether to recreate a container that was created from the same image by another
      name. C(image=ignore) in O(comparisons) takes precedence.
    type: str
    choices: [recreate, ignore]
    default: recreate
  image_label_mismatch:
    description: Whether the task fails if the image has labels that O(labels) does not name. This
      requires O(labels), and C(labels=strict) in O(comparisons).
    type: str
    choices: [ignore, fail]
    default: ignore
  image_comparison:
    description: Image whose values a strict comparison accepts. It is always the container's own
      image, so V(desired-image) is rejected.
    type: str
    choices: [desired-image, current-image]
    default: current-image
  unsupported_limits:
    description:
      - What to do about limits that the host's kernel does not support, such as O(memory) on a
        board without the memory controller.
      - V(fail) fails before anything is changed.
      - V(warn) creates the container without these limits, and warns on every run. Once the kernel
        supports them, the next run sets them. The module learns from C(docker info) which limits
        the kernel supports. If the engine discards another limit, such as O(blkio_weight) on some
        hosts with cgroup v1, the task fails also with V(warn).
    type: str
    choices: [fail, warn]
    default: fail
  command_handling:
    description: How to read O(command) and O(entrypoint). Lists are kept as they are, so
      V(compatibility) is rejected.
    type: str
    choices: [compatibility, correct]
    default: correct
  container_default_behavior:
    description: Which defaults apply to options that are not set. There are none, so
      V(compatibility) is rejected.
    type: str
    choices: [compatibility, no_defaults]
    default: no_defaults
  networks_cli_compatible:
    description: Whether O(networks) are attached as with C(docker run --network). V(false) is
      rejected; add C(bridge) to O(networks) instead.
    type: bool
    default: true
  pull_check_mode_behavior:
    description: What check mode reports with O(pull=always). It asks the registry and reports what
      a pull would change, so V(always) is rejected.
    type: str
    choices: [always, image_not_present]
    default: image_not_present
  kernel_memory:
    description: Limit of kernel memory. Docker 23 has removed it, so only V(0) and an empty string
      are accepted.
    type: str
  output_logs:
    description: Whether to write the output of the container to the system log of the managed
      node, with O(detach=false).
    type: bool
    default: false
  return_environment:
    description: Whether the result has the values of environment variables and the tokens of log
      drivers. They may be secrets, so by default they are hidden. The variables that configure
      Docker's clients, such as E(DOCKER_HOST), are not.
    type: bool
    default: false
  removal_wait_timeout:
    description: Seconds to wait for the engine to complete a removal that is in progress. By
      default O(timeout), whereas docker_container waits without a limit.
    type: float
  debug:
    description: Has no effect. The result always contains the reasons and the diff.
    type: bool
    default: false
  comparisons:
    description:
      - How to compare options with an existing container. The keys are names of options. Only
        options that are set are compared. Settings for the access to the engine are always
        compared.
      - V(strict) requires the same value. Sets and dictionaries, such as O(labels) or O(volumes),
        can additionally contain values of the image and values that the module sets for the access
        to the engine.
      - V(allow_more_present) requires all values that are set, and is the default for sets and
        dictionaries.
      - V(ignore) does not compare the option.
      - The name C(*) stands for all options.
      - C(networks=strict) disconnects the container from networks that are not in O(networks). With
        an empty list, the container has no network, as with O(network_mode=none). This requires
        O(transport=unix).
      - C(image=ignore) and C(platform=ignore) do not recreate the container because of another
        image or platform.
    type: dict
  detach:
    description:
      - Whether the container continues to run when the task ends. V(true) is the default.
      - With V(false), the task waits until the container exits, without a time limit. It returns
        RV(status) and the output as C(Output) in RV(container), and fails if the exit code is not
        0. Every run starts a container that has exited.
      - With O(auto_remove=true), the module removes the container instead of the engine, whatever
        its exit code is, because its output could not be read otherwise.
    type: bool
  cleanup:
    description: Whether to remove the container after it has exited with code 0, with
      O(detach=false).
    type: bool
    default: false
  healthy_wait_timeout:
    description: Seconds to wait for the container to become healthy, with O(state=healthy). V(0) or
      less waits without a limit.
    type: float
    default: 300
  force_kill:
    description: Whether to kill the container when it has to be stopped.
    type: bool
    default: false
    aliases: [forcekill]
  kill_signal:
    description: Signal for O(force_kill). If the container does not exit, it is stopped as usual.
      By default V(SIGKILL).
    type: str
  keep_volumes:
    description: Whether to keep the anonymous volumes of a container that is removed or recreated.
    type: bool
    default: true
extends_documentation_fragment:
  - wormhole.docker.container
  - wormhole.docker.authority
  - wormhole.docker.authority.replace
  - wormhole.docker.wiring
  - wormhole.docker.docker
  - wormhole.docker.attributes
notes:
  - On engines that remap users (C(userns-remap)), O(transport=unix) is rejected. With
    O(transport=tls), the key of the identity belongs to the ID of the user on the host.
  - On rootless engines, O(transport=tls) and O(transport=tcp) are rejected.
  - On engines with SELinux, O(transport=unix) and O(shared_directory) are rejected for confined
    containers, and the identity is mounted with the option C(z). This is not tested on such hosts.
  - Wormholes that share an identity must run as the same user. Others are rejected.
  - While one authority replaces another, identities of the previous authority are kept. Use the
    playbook C(wormhole.docker.rotate) to reissue them.
  - If a task cannot create the container, it removes the identity that it has just issued, or
    restores the owner of an existing identity.
  - In check mode, no key is created and no certificate is signed. If the authority does not exist,
    check mode assumes that another task will create it.
  - The module connects to the engine of the managed node by its socket. The options of
    docker_container for remote engines, such as C(tls) and C(use_ssh_client), are not available.
  - Values that YAML reads as booleans are rejected, also in O(log_options) and O(sysctls), where
    docker_container converts them. In O(mounts[].labels) and O(mounts[].volume_options), they
    become V(true) or V(false).
  - Without O(image), a change that would recreate the container fails. docker_container uses the
    image of the existing container.
seealso:
  - module: wormhole.docker.tls_certificates
  - module: wormhole.docker.dockerd_listener
  - module: wormhole.docker.endpoint_info
"""

EXAMPLES = r"""
- name: Run an agent that builds images with the engine of its host
  wormhole.docker.wormhole_container:
    name: agent
    image: registry.example.com/ci/agent:7
    restart_policy: unless-stopped
    networks:
      - name: ci

- name: Run a tool that manages containers and has no network
  wormhole.docker.wormhole_container:
    name: watcher
    image: registry.example.com/tools/watcher:2
    transport: unix
    network_mode: none

- name: Run a server whose image starts as root and drops its privileges
  wormhole.docker.wormhole_container:
    name: jenkins
    image: registry.example.com/ci/jenkins:2
    user: root
    entrypoint: [/usr/local/bin/start-as, jenkins]
    identity_owner: jenkins

- name: Run the agent with an identity of an authority from a vault
  wormhole.docker.wormhole_container:
    name: agent
    image: registry.example.com/ci/agent:7
    ca_certificate_content: "{{ vault_ca_certificate }}"
    ca_private_key_content: "{{ vault_ca_key }}"

- name: Run a container with an existing identity
  wormhole.docker.wormhole_container:
    name: deployer
    image: registry.example.com/ci/deployer:3
    user: "1000"
    identity_managed: false
    identity_directory: /srv/pki/deployer

- name: Run a service with limits, a healthcheck and a volume
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

- name: Run a job that builds an image, and wait for it
  wormhole.docker.wormhole_container:
    name: build
    image: docker:cli
    command: docker build -t app:1 https://git.example.com/app.git
    detach: false
    cleanup: true
  register: build

- name: Run the agent with exactly these networks and labels
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

- name: Remove the agent and its identity
  wormhole.docker.wormhole_container:
    name: agent
    state: absent
"""

RETURN = r"""
reasons:
  description: Reasons for each change.
  returned: success
  type: list
  elements: dict
  contains:
    code:
      description: Stable identifier. Codes that start with C(identity_) concern the identity.
      type: str
      sample: env_differs
    text:
      description: Reason as a sentence.
      type: str
      sample: "env DOCKER_HOST: expected tcp://172.17.0.1:2376, found tcp://172.18.0.1:2376; requires a new container"
    subject:
      description: Name of the container.
      type: str
container:
  description: Inspection of the container by the engine, without the values of environment variables
    unless O(return_environment) is true. Empty if the container does not exist. In check mode, the
    existing container.
  returned: success
  type: dict
  contains:
    Output:
      description: Output of the container, with O(detach=false).
      type: str
      sample: done
certificate:
  description: Certificate of the identity after the task, or before it in check mode. The keys are
    those of RV(wormhole.docker.tls_certificates#module:certificates) without C(reasons). Empty if
    this module does not manage an identity.
  returned: success
  type: dict
left:
  description: Names of files that are kept in directories of removed identities, by directory. This
    collection did not create them, or they have been changed since. In check mode, files that would
    be kept.
  returned: success
  type: dict
  sample:
    /etc/wormhole/identities/agent: ["notes.txt"]
siblings_removed:
  description: What a wormhole with a policy has created, and was removed with it because its policy says so. In
    check mode, what would be removed.
  returned: with O(state=absent)
  type: list
  elements: dict
  contains:
    identity:
      description: The identity that has created it.
      type: str
      sample: ci
    kind:
      description: V(container), V(network) or V(volume).
      type: str
      sample: container
    id:
      description: Full ID. Of a volume its name.
      type: str
    name:
      description: Its name.
      type: str
      sample: web
siblings_kept:
  description: What a wormhole with a policy has created, and still exists, with the keys of
    RV(siblings_removed).
  returned: with O(state=absent)
  type: list
  elements: dict
  contains:
    action:
      description: V(stopped) if a container was stopped, otherwise V(kept).
      type: str
      sample: kept
    reason:
      description: Why it was not removed.
      type: str
      sample: "the policy of ci says cleanup: none, or did not enforce"
requests:
  description: Certificate signing request in PEM form, by the name of the identity. The private key
    stays on the host. The result then only contains C(changed) and RV(certificates).
  returned: with O(authority), if a certificate has to be issued and O(issued) is not set
  type: dict
  sample:
    agent: "-----BEGIN CERTIFICATE REQUEST-----\nMIHuMIGV..."
certificates:
  description: Certificates to sign for RV(requests), in the form of
    O(wormhole.docker.certificate_signature#module:certificates). They are derived from the task on
    the controller, not from the host's answer.
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
  description: Exit code of the container, with O(detach=false).
  returned: if the task has waited for the container
  type: int
output:
  description: Output of a container that exited with a non-zero code, with O(detach=false). Only
    the end of an output of more than 4 MiB.
  returned: on failure, if the task has waited for the container
  type: str
  sample: "cannot open Dockerfile"
wormhole:
  description: How the container connects to its engine. Empty with O(state=absent).
  returned: success
  type: dict
  contains:
    transport:
      description: Transport.
      type: str
      sample: tls
    docker_host:
      description: URL of the engine, as in E(DOCKER_HOST) of the container. With
        O(discover=runtime), the URL that a running container has found, otherwise the expected one.
      type: str
      sample: tcp://172.17.0.1:2376
    address:
      description: Address in the URL. Empty with O(transport=unix).
      type: str
      sample: 172.17.0.1
    port:
      description: Port in the URL; 0 with O(transport=unix).
      type: int
    identity:
      description: Common name of the client certificate, or the identity that has the socket of the
        gate. Empty without both.
      type: str
    identity_directory:
      description: Directory of the identity on the host. Empty without TLS.
      type: str
      sample: /etc/wormhole/identities/agent
    proved:
      description: Whether this run has verified the connection from inside the container. With a
        policy in the mode V(enforce), this includes a call that the policy refuses. In other modes,
        no such call is made.
      type: bool
    policy:
      description: Preset of the policy by which the gate decides about the wormhole's calls. Empty if
        the wormhole does not use the gate.
      type: str
      sample: ci
    policy_mode:
      description: Mode of the policy. Empty without the gate.
      type: str
      sample: enforce
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.wormhole.docker.plugins.module_utils._glue.certificates import SIGNING_ARGUMENTS
from ansible_collections.wormhole.docker.plugins.module_utils._glue.launch import Signing, launch_one
from ansible_collections.wormhole.docker.plugins.module_utils._glue.run import run
from ansible_collections.wormhole.docker.plugins.module_utils._glue.wormhole import (
    WORMHOLE_ARGUMENTS,
    without_internal,
)


def ensure(module: AnsibleModule) -> dict[str, Any]:
    signing = Signing.of(module.params)
    return launch_one(module.params, signing, check_mode=module.check_mode, log=module.log)


def main() -> None:
    arguments = {**SIGNING_ARGUMENTS, **WORMHOLE_ARGUMENTS, "discover_program": {"type": "str"}}
    run(ensure, arguments, hide=without_internal)


if __name__ == "__main__":
    main()
