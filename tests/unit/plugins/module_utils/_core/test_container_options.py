# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import re

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._core.container_names import parse_image
from ansible_collections.wormhole.docker.plugins.module_utils._core.container_networks import (
    Attachment,
    endpoint_settings,
    find_attachment_deviations,
    parse_attachments,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.container_option import (
    Comparison,
    Kind,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.container_options import (
    OPTIONS,
    arguments,
    find_deviations,
    find_too_new,
    find_unsupported,
    merge_options,
    parse_comparisons,
    parse_options,
    render_body,
    render_update,
    show_values,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.container_platform import parse_platform
from ansible_collections.wormhole.docker.plugins.module_utils._core.container_values import parse_env_file
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._adapters.engine_contract import (
    OPTION_VALUES,
    deviating,
    with_companions,
)


def container(**values):
    """An inspection that holds what these parameters ask for."""
    body = render_body(parse_options(values))
    host_config = body.pop("HostConfig", {})
    return {"Config": body, "HostConfig": host_config}


def texts(values, found):
    return [deviation.text for deviation in find_deviations(parse_options(values), found)]


def test_the_contract_covers_every_option():
    assert set(OPTION_VALUES) == {option.name for option in OPTIONS}


def test_parameters_become_one_argument_each():
    assert set(arguments()) == set(OPTION_VALUES) | {"restart_retries", "env_file"}


@pytest.mark.parametrize("option", sorted(OPTION_VALUES))
def test_an_option_that_is_not_set_is_neither_rendered_nor_compared(option):
    assert parse_options({option: None}) == {}
    found = container(**with_companions(option, OPTION_VALUES[option][0]))
    assert find_deviations({}, found, comparisons=parse_comparisons({"*": "strict"})) == ()


@pytest.mark.parametrize("option", sorted(OPTION_VALUES))
def test_an_option_reads_back_and_its_change_is_seen(option):
    first, second = (with_companions(option, value) for value in OPTION_VALUES[option])
    for own, other in ((first, second), (second, first)):
        assert deviating(parse_options(own), container(**own)) == ()
        assert deviating(parse_options(own), container(**other)) == (option,)


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_reading_what_was_rendered_is_what_was_parsed(option):
    for value in OPTION_VALUES[option.name]:
        parsed = parse_options(with_companions(option.name, value))
        read = option.read(container(**with_companions(option.name, value)))
        expected = parsed[option.name]
        if option.kind is Kind.MAPPING:
            read = {
                item: {part: read[item][part] for part in wanted} if isinstance(wanted, dict) else read[item]
                for item, wanted in expected.items()
            }
        assert read == expected if option.kind is not Kind.SET else sorted(read) == sorted(expected)


@pytest.mark.parametrize("option", sorted(OPTION_VALUES))
def test_what_is_parsed_and_shown_is_plain(option):
    for value in OPTION_VALUES[option]:
        values = parse_options(with_companions(option, value))
        json.dumps([show_values(values), render_body(values), [str(d) for d in find_deviations(values, {})]])


@pytest.mark.parametrize(
    "values, found, expected",
    [
        (
            {"env": {"A": "2"}},
            {"env": {"A": "1"}},
            ["env A: expected another value (hidden), found (hidden)"],
        ),
        ({"env": {"A": "1"}}, {}, ["env A: expected (hidden), found nothing"]),
        ({"labels": {"a": "b"}}, {"labels": {"a": "c", "d": "e"}}, ["labels a: expected b, found c"]),
        ({"volumes": ["/a:/b"]}, {"volumes": ["/a:/b:ro"]}, ["volumes: expected /a:/b, found nothing"]),
        ({"user": "5"}, {}, ["user: expected 5, found nothing"]),
        ({"command": "a b"}, {"command": ["a"]}, ["command: expected [a, b], found [a]"]),
        ({"restart_policy": "always"}, {}, ["restart_policy Name: expected always, found no"]),
        (
            {"restart_policy": "on-failure", "restart_retries": 3},
            {"restart_policy": "on-failure"},
            ["restart_policy MaximumRetryCount: expected 3, found nothing"],
        ),
        ({"network_mode": "default"}, {}, []),
        ({"network_mode": "bridge"}, {"network_mode": "default"}, []),
        ({"working_dir": "/a/"}, {"working_dir": "/a"}, []),
        ({"init": False}, {}, []),
        ({"groups": ["5"]}, {"groups": ["6", "5"]}, []),
        ({"command": []}, {"command": ["a"]}, []),
    ],
)
def test_deviations_in_words(values, found, expected):
    assert texts(values, container(**found)) == expected


def test_values_that_may_be_secrets_are_not_shown():
    values = parse_options({"env": {"TOKEN": "s3cret", "DOCKER_HOST": "tcp://172.17.0.1:2376"}})
    found = container(env={"TOKEN": "0ther", "DOCKER_HOST": "unix:///x"})
    shown = [
        show_values(values),
        *find_deviations(values, found),
        *texts(values["env"] and {"env": values["env"]}, found),
    ]
    assert "s3cret" not in str(shown)
    assert "0ther" not in str(shown)
    assert "tcp://172.17.0.1:2376" in str(shown)


def mounted(options, **parts):
    return {"mounts": [{"target": "/a", "source": "v", "volume_options": options, **parts}]}


@pytest.mark.parametrize(
    "first, second, expected",
    [
        (
            {"log_driver": "splunk", "log_options": {"splunk-token": "s3cret", "tag": "x"}},
            {"log_driver": "splunk", "log_options": {"splunk-token": "0ther", "tag": "y"}},
            [
                "log_options splunk-token: expected another value (hidden), found (hidden)",
                "log_options tag: expected x, found y",
            ],
        ),
        (
            mounted({"type": "cifs", "o": "password=s3cret"}),
            mounted({"o": "password=0ther"}),
            ["mounts /a volume_options: expected another value (hidden), found (hidden)"],
        ),
        (
            mounted({"o": "password=s3cret"}),
            mounted(None),
            ["mounts /a volume_options: expected (hidden), found "],
        ),
    ],
)
def test_secrets_of_drivers_are_not_shown(first, second, expected):
    assert texts(first, container(**second)) == expected
    assert "s3cret" not in str(show_values(parse_options(first)))
    with pytest.raises(InvalidInput) as caught:
        parse_options(mounted({"o": "password=s3cret"}, type="image"))
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "values, expected",
    [
        ({"restart_policy": "always"}, {"RestartPolicy": {"Name": "always"}}),
        ({"memory": "8m"}, {"Memory": 8388608, "MemorySwap": 16777216}),
        (
            {"memory": "8m", "restart_policy": "no"},
            {"Memory": 8388608, "MemorySwap": 16777216, "RestartPolicy": {"Name": "no"}},
        ),
        ({"memory": "0"}, None),
        ({"memory": "8m", "user": "5"}, None),
        ({}, {}),
    ],
)
def test_what_is_updated_in_place(values, expected):
    parsed = parse_options(values)
    assert render_update(parsed, parsed, {}) == expected


@pytest.mark.parametrize(
    "values, host_config, expected",
    [
        ({"cpus": 1.5}, {"CpuPeriod": 50000}, None),
        ({"cpus": 1.5}, {"CpuQuota": 50000}, None),
        ({"cpus": 1.5}, {"NanoCpus": 1, "CpuPeriod": 0}, {"NanoCpus": 1500000000}),
        ({"cpu_period": 50000}, {"NanoCpus": 1}, None),
        ({"cpu_quota": 50000}, {"NanoCpus": 1}, None),
        ({"cpu_quota": 50000}, {"NanoCpus": 0, "CpuPeriod": 1000}, {"CpuQuota": 50000}),
        ({"restart_policy": "always"}, {"AutoRemove": True}, None),
        ({"restart_policy": "no"}, {"AutoRemove": True}, {"RestartPolicy": {"Name": "no"}}),
    ],
)
def test_what_the_container_is_made_with_may_rule_out_an_update(values, host_config, expected):
    parsed = parse_options(values)
    assert render_update(parsed, parsed, {"HostConfig": host_config}) == expected


def test_wiring_is_merged_into_what_is_set():
    own = {"env": {"A": "b"}, "groups": ("5",), "user": "7"}
    added = {"env": {"C": "d"}, "groups": ("5", "6"), "volumes": ("/a:/b",), "labels": {}}
    assert merge_options(own, added) == {
        "env": {"A": "b", "C": "d"},
        "groups": ("5", "6"),
        "volumes": ("/a:/b",),
        "user": "7",
    }
    assert own["env"] == {"A": "b"}


def test_what_the_engine_would_ignore_is_found():
    values = parse_options({"memory": "8m", "user": "5"})
    assert find_unsupported(values, {"MemoryLimit": False}) == ("memory",)
    assert find_unsupported(values, {"MemoryLimit": True}) == ()
    assert find_unsupported(values, {}) == ()


@pytest.mark.parametrize(
    "first, second",
    [
        ({"published_ports": ["[0:0::1]:80:80"]}, {"published_ports": ["[::1]:80:80"]}),
        ({"dns_servers": ["2001:DB8::0:1"]}, {"dns_servers": ["2001:db8::1"]}),
        (
            {"mounts": [{"target": "/a/", "source": "/srv//b/", "type": "bind"}]},
            {"mounts": [{"target": "/a", "source": "/srv/b", "type": "bind"}]},
        ),
        (
            {"healthcheck": {"test": ["CMD", "nc", "-z", "localhost", 80]}},
            {"healthcheck": {"test": ["CMD", "nc", "-z", "localhost", "80"]}},
        ),
        ({"device_requests": [{"options": {"a": 1}}]}, {"device_requests": [{"options": {"a": "1"}}]}),
    ],
)
def test_the_same_in_other_words(first, second):
    assert parse_options(first) == parse_options(second)
    assert find_deviations(parse_options(first), container(**second)) == ()


@pytest.mark.parametrize(
    "path, value",
    [
        ("HostConfig", {"PortBindings": {"80/tcp": [{"HostIp": "0:0::1", "HostPort": "80"}]}}),
        ("HostConfig", {"Dns": ["2001:DB8::1"]}),
        ("HostConfig", {"Mounts": [{"Type": "bind", "Source": "/srv//b/", "Target": "/a/"}]}),
    ],
)
def test_what_an_engine_has_kept_as_it_was_written(path, value):
    values = parse_options(
        {
            "PortBindings": {"published_ports": ["[::1]:80:80"]},
            "Dns": {"dns_servers": ["2001:db8::1"]},
            "Mounts": {"mounts": [{"target": "/a", "source": "/srv/b", "type": "bind"}]},
        }[next(iter(value))]
    )
    assert find_deviations(values, {path: value}) == ()


# Each option with what it must not be; one sentence for each.
MALFORMED = [
    ({"command": "a 'b"}, "command: expected words as a shell splits them"),
    ({"command": {"a": "b"}}, "command: expected a list of strings or a string, found dict"),
    ({"command": ["a", True]}, "command: expected strings only"),
    ({"entrypoint": ["a", None]}, "entrypoint: expected strings only"),
    ({"env": {"A": 1}}, "env A: expected a string, found int"),
    ({"env": {"A=B": "c"}}, "env 'A=B': expected a name"),
    ({"working_dir": "tmp"}, "working_dir: expected an absolute path, found tmp"),
    ({"labels": {"a": 1}}, "labels a: expected a string, found int"),
    ({"stop_signal": "SIG TERM"}, "stop_signal: expected a signal such as SIGTERM"),
    ({"stop_timeout": -2}, "stop_timeout: expected a number from -1 to"),
    ({"healthcheck": {"test": ["true"]}}, "healthcheck test: expected a list that begins with NONE, CMD"),
    ({"healthcheck": {"test": ["CMD"]}}, "healthcheck test: expected a command after CMD"),
    ({"healthcheck": {"test": ["CMD", True]}}, "healthcheck test: expected a string or a list of strings"),
    ({"healthcheck": {"test": 5}}, "healthcheck test: expected a string or a list of strings"),
    ({"healthcheck": {"test": "true", "interval": "5"}}, "healthcheck interval: expected a duration such as"),
    (
        {"healthcheck": {"test": "true", "timeout": "10us"}},
        "healthcheck timeout: expected a millisecond at least",
    ),
    ({"healthcheck": {"test": "true", "retries": -1}}, "healthcheck retries: expected a number from 0 on"),
    ({"restart_retries": 3}, "restart_retries: expected restart_policy on-failure beside it, found no"),
    ({"restart_policy": "always", "restart_retries": 3}, "restart_retries: .*found always"),
    ({"restart_policy": "on-failure", "restart_retries": -1}, "restart_retries: expected a number from 0 on"),
    ({"auto_remove": True, "restart_policy": "always"}, "auto_remove: expected no restart_policy beside it"),
    ({"log_options": {"max-size": "1m"}}, "log_options: expected log_driver beside it"),
    ({"log_options": {"compress": True}, "log_driver": "local"}, "log_options compress: expected a string"),
    ({"volumes": ["a:b"]}, "volumes a:b: expected source:target"),
    ({"mounts": [{"target": "a"}]}, "mounts a: expected an absolute target"),
    (
        {"mounts": [{"target": "/a"}, {"target": "/a/"}]},
        "mounts /a: expected to be mounted once, found twice",
    ),
    ({"mounts": [{"target": "/a", "type": "bind"}]}, "mounts /a: source: expected an absolute path"),
    ({"mounts": [{"target": "/a", "source": "/b"}]}, "mounts /a: source: expected the name of a volume"),
    ({"mounts": [{"target": "/a", "type": "image"}]}, "mounts /a: source: expected a source for type image"),
    (
        {"mounts": [{"target": "/a", "tmpfs_size": "1m"}]},
        "mounts /a: tmpfs_size: expected no such part for type",
    ),
    (
        {"mounts": [{"target": "/a", "type": "tmpfs", "tmpfs_mode": "-1"}]},
        "mounts /a: tmpfs_mode: expected an octal",
    ),
    (
        {"mounts": [{"target": "/a", "type": "tmpfs", "tmpfs_mode": "9"}]},
        "mounts /a: tmpfs_mode: expected an octal",
    ),
    (
        {"mounts": [{"target": "/a", "type": "tmpfs", "tmpfs_size": "x"}]},
        "mounts /a: tmpfs_size: expected a size",
    ),
    (
        {"mounts": [{"target": "/a", "source": "v", "subpath": "../b"}]},
        "mounts /a: subpath: expected a relative",
    ),
    ({"mounts": [{"target": "/a", "labels": {"a": None}}]}, "mounts /a: labels a: expected a string"),
    *(
        (
            {"mounts": [{"target": "/a", "type": "tmpfs", "tmpfs_options": [option]}]},
            "mounts /a: tmpfs_options: expected mappings of one name to a string or null",
        )
        for option in ({}, {"a": "b", "c": "d"}, {"a": 1}, {"a=b": None}, {"": None}, {1: None})
    ),
    ({"tmpfs": ["a"]}, "tmpfs a: expected an absolute path"),
    ({"tmpfs": ["/a", "/a:rw"]}, "tmpfs /a: expected to be mounted once"),
    (
        {"tmpfs": ["/a"], "volumes": ["/x:/a"]},
        "mount at /a: expected one of volumes, mounts and tmpfs, found volumes",
    ),
    ({"volumes_from": ["a b"]}, "volumes_from a b: expected a container"),
    ({"volumes_from": ["a:rx"]}, "volumes_from a:rx: expected a container"),
    ({"storage_opts": {"size": None}}, "storage_opts size: expected a string"),
    ({"shm_size": "0"}, "shm_size: expected more than nothing"),
    ({"shm_size": "big"}, "shm_size: expected a size"),
    ({"network_mode": " "}, "network_mode: expected"),
    ({"network_mode": "container:"}, "network_mode: expected the name of a container after it"),
    (
        {"network_mode": "container:a", "dns_servers": ["192.0.2.1"]},
        "dns_servers: expected not to be set beside network_mode container:a",
    ),
    (
        {"network_mode": "container:a", "published_ports": ["80"]},
        "published_ports: expected not to be set beside network_mode container:a",
    ),
    ({"published_ports": ["http"]}, "published_ports http: expected port, host:port"),
    ({"published_ports": ["all"], "publish_all_ports": False}, "publish_all_ports: expected not to be false"),
    ({"exposed_ports": ["80:80"]}, "exposed_ports 80:80: expected a port or a range"),
    ({"exposed_ports": ["0"]}, "exposed_ports 0: expected port"),
    ({"etc_hosts": {"a": "b"}}, "etc_hosts a: expected an IP address or host-gateway, found b"),
    ({"dns_servers": ["dns.example.org"]}, "dns_servers dns.example.org: expected an IP address"),
    ({"mac_address": "02:42"}, "mac_address: expected a MAC address"),
    ({"links": ["a:b:c"]}, "links a:b:c: expected container or container:alias"),
    ({"memory": "lots"}, "memory: expected a size"),
    ({"memory_reservation": "-1"}, "memory_reservation: expected a size"),
    ({"memory_reservation": "2g", "memory": "1g"}, "memory_reservation: expected no more than memory"),
    ({"memory_swap": "1g"}, "memory_swap: expected memory beside it"),
    ({"memory_swap": "1g", "memory": "2g"}, "memory_swap: expected memory beside it, and not more than this"),
    ({"memory_swap": "none"}, "memory_swap: expected a size"),
    ({"memory_swappiness": 101}, "memory_swappiness: expected a number from 0 to 100"),
    ({"cpus": -1.0}, "cpus: expected a number of processors"),
    ({"cpus": 1.5, "cpu_quota": 50000}, "cpus: expected no cpu_quota beside it"),
    ({"cpu_period": 10}, "cpu_period: expected a number from 1000 to 1000000, or 0"),
    ({"cpu_quota": 10}, "cpu_quota: expected a number from 1000 on, or 0, or -1"),
    ({"cpu_shares": 1}, "cpu_shares: expected a number from 2 to 262144, or 0"),
    ({"cpuset_cpus": "all"}, "cpuset_cpus: expected numbers such as 0-3"),
    ({"cpuset_mems": "0;1"}, "cpuset_mems: expected numbers such as 0-3"),
    ({"pids_limit": 0}, "pids_limit: expected a number from 1 on, or -1"),
    ({"blkio_weight": 5}, "blkio_weight: expected a number from 10 to 1000"),
    ({"device_read_bps": [{"path": "sda", "rate": "1m"}]}, "device_read_bps sda: expected the absolute path"),
    (
        {"device_write_bps": [{"path": "/dev/sda", "rate": "fast"}]},
        "device_write_bps /dev/sda: expected a size",
    ),
    (
        {"device_read_iops": [{"path": "/dev/sda", "rate": 0}]},
        "device_read_iops /dev/sda: expected a rate above 0",
    ),
    (
        {"device_write_iops": [{"path": "/dev/a", "rate": 1}] * 2},
        "device_write_iops /dev/a: expected to be limited once",
    ),
    ({"oom_score_adj": 2000}, "oom_score_adj: expected a number from -1000 to 1000"),
    ({"ulimits": ["nofile"]}, "ulimits nofile: expected name:soft or name:soft:hard"),
    ({"ulimits": ["nofile:2:1"]}, "ulimits nofile:2:1: expected a soft limit that is not above the hard one"),
    ({"ulimits": ["core:0", "core:1"]}, "ulimits core: expected to be limited once"),
    ({"capabilities": ["net-admin"]}, "capabilities 'net-admin': expected a capability"),
    ({"cap_drop": [""]}, "cap_drop '': expected a capability"),
    (
        {"security_opts": ["systempaths=unconfined"]},
        "security_opts systempaths=unconfined: expected an option of the eng",
    ),
    ({"security_opts": ["secure"]}, "security_opts secure: expected an option such as"),
    ({"devices": ["null"]}, "devices null: expected path"),
    ({"devices": ["/dev/a:/dev/b:x"]}, "devices /dev/a:/dev/b:x: expected path"),
    ({"devices": ["/dev/a:/dev/b:r:w"]}, "devices /dev/a:/dev/b:r:w: expected path"),
    (
        {"device_requests": [{"count": 1, "device_ids": ["0"]}]},
        "device_requests: expected count or device_ids",
    ),
    ({"device_requests": [{"options": {"a": None}}]}, "device_requests options a: expected a string"),
    ({"device_requests": [{"count": -2}]}, "device_requests count: expected a number from -1 on"),
    ({"device_cgroup_rules": ["c 42"]}, "device_cgroup_rules c 42: expected a rule"),
    ({"sysctls": {"net.a": True}}, "sysctls net.a: expected a string"),
    ({"userns_mode": "private"}, "userns_mode: expected host"),
    ({"pid_mode": "private"}, "pid_mode: expected host or container:NAME"),
    ({"ipc_mode": "shared"}, "ipc_mode: expected none or private or shareable or host or container:NAME"),
    ({"uts": "private"}, "uts: expected host"),
    ({"user": "a:b:c"}, "user: expected a user, or user:group, found 'a:b:c'"),
    ({"groups": [""]}, "groups: expected names without blanks, found ''"),
    ({"hostname": "a b"}, "hostname: expected a name of at most 64 characters, without blanks"),
    ({"hostname": "a" * 65}, "hostname: expected a name of at most 64 characters"),
    ({"domainname": "a b"}, "domainname: expected a name of at most 64 characters"),
    ({"env": {"A B": "c"}}, "env 'A B': expected a name"),
    ({"env": {"A": "s3cret\0"}}, "env A: expected text without NUL bytes"),
    ({"labels": {"a\0": "b"}}, "labels: expected text without NUL bytes"),
    ({"command": ["a", "b\0"]}, "command: expected text without NUL bytes"),
    ({"mounts": [{"target": "/a\0"}]}, "mounts target: expected text without NUL bytes"),
    ({"memory": "64"}, "memory: expected 6m at least, or 0 for no limit, found '64'"),
    ({"memory_reservation": "1m"}, "memory_reservation: expected 6m at least"),
    ({"ulimits": ["foo:1:2"]}, "ulimits foo:1:2: expected one of as, core, cpu, data"),
    ({"cpuset_cpus": "0,3-1"}, "cpuset_cpus: expected numbers such as 0-3"),
    ({"capabilities": ["FOO"]}, "capabilities 'FOO': expected a capability"),
    ({"cap_drop": ["CAP_CAP_CHOWN"]}, "cap_drop 'CAP_CAP_CHOWN': expected a capability"),
    ({"tmpfs": ["/a:size=1m,nonsense"]}, "tmpfs /a: expected options such as size=64m"),
    ({"volumes": ["/a:/b:shared,private"]}, "volumes /a:/b:shared,private: expected one of shared, rshared"),
    ({"volumes": ["/a:/b:ro,rw"]}, "volumes /a:/b:ro,rw: expected one of ro, rw, found ro and rw"),
    ({"volumes": ["/a:/b:z,Z"]}, "volumes /a:/b:z,Z: expected one of z, Z"),
    ({"uts": "host", "hostname": "a"}, "hostname: expected not to be set beside uts: host"),
]

# What is any string, boolean or choice to the engine; Ansible itself refuses other types.
UNRESTRICTED = {
    *(
        "tty",
        "interactive",
        "init",
        "log_driver",
        "volume_driver",
    ),
    *(
        "read_only",
        "dns_opts",
        "dns_search_domains",
        "oom_killer",
        "cgroup_parent",
        "privileged",
        "cgroupns_mode",
    ),
    "runtime",
}


@pytest.mark.parametrize("values, message", MALFORMED)
def test_malformed_options_are_refused_in_one_sentence(values, message):
    with pytest.raises(
        InvalidInput, match=f"^{re.escape(message) if '.*' not in message else message}"
    ) as caught:
        parse_options(values)
    assert "\n" not in str(caught.value)


def test_no_option_is_left_out_of_the_malformed_ones():
    named = {name for values, _message in MALFORMED for name in values}
    assert {option.name for option in OPTIONS} - named <= UNRESTRICTED


@pytest.mark.parametrize(
    "values",
    [
        {"user": "a:"},
        {"hostname": "under_score.example.org"},
        {"hostname": "a" * 64},
        {"memory": "0"},
        {"memory": "6m"},
        {"capabilities": ["cap_net_admin", "all", "Bpf", "CAP_SYS_ADMIN"]},
        {"ulimits": ["as:1", "nofile=5"]},
        {"cpuset_cpus": "3,1-1,0-2"},
        {"tmpfs": ["/a:rw,noexec,nosuid,size=65536k,mpol=bind:0", "/b"]},
        {"volumes": ["/a:/b:ro,z,rslave,cached,nocopy"]},
        {"env": {"a.b-c": "x"}},
        {"groups": ["0", "docker"]},
    ],
)
def test_what_engines_take_is_not_refused(values):
    assert parse_options(values)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "busybox",
            "busybox:1",
            "library/busybox:1.36-musl",
            "localhost:5000/a/b__c:T_a.g",
            "Foo/bar",
            "a--b",
        ),
        *("[fd00::1]:5000/a", "registry.example.com/a/b@sha256:" + "0" * 64, "a:1@sha256:" + "a" * 64),
        *("sha256:" + "0" * 64, "0123456789ab"),
    ],
)
def test_images(text):
    assert parse_image("image", text) == text


@pytest.mark.parametrize(
    "text", ["Foo Bar", "busybox:", "Busybox", ":1", "a/B", "a:b:c", "a//b", "a@sha256:1", "a\0", "-a", " a"]
)
def test_what_is_no_image(text):
    with pytest.raises(InvalidInput, match="^image: expected an image's name in lower case"):
        parse_image("image", text)


@pytest.mark.parametrize(
    "comparisons, message",
    [
        ({"labels": "sloppy"}, "comparisons labels: expected one of strict, allow_more_present, ignore"),
        ({"*": "allow_more_present"}, "comparisons *: expected strict or ignore"),
        ({"color": "strict"}, "comparisons color: expected an option of a container"),
        ({"state": "ignore"}, "comparisons state: expected an option of a container"),
        (
            {"user": "allow_more_present"},
            "comparisons user: expected strict or ignore, since it is one value",
        ),
        ({"image": "allow_more_present"}, "comparisons image: expected strict or ignore"),
        ({"platform": "allow_more_present"}, "comparisons platform: expected strict or ignore"),
    ],
)
def test_malformed_comparisons_are_refused(comparisons, message):
    with pytest.raises(InvalidInput, match=f"^{re.escape(message)}"):
        parse_comparisons(comparisons)


def test_comparisons_know_aliases_and_let_names_go_before_the_wildcard():
    found = parse_comparisons({"ports": "strict", "command": "allow_more_present", "*": "ignore"})
    assert found["published_ports"] is Comparison.STRICT
    assert found["command"] is Comparison.ALLOW_MORE_PRESENT
    assert {found[name] for name in ("env", "image", "networks", "platform")} == {Comparison.IGNORE}


@pytest.mark.parametrize(
    "values, too_new",
    [
        ({"healthcheck": {"test": "true", "start_interval": "1s"}}, {"healthcheck start_interval": (1, 44)}),
        ({"mounts": [{"target": "/a", "source": "v", "subpath": "b"}]}, {"mounts /a subpath": (1, 45)}),
        (
            {"mounts": [{"target": "/a", "type": "tmpfs", "tmpfs_options": [{"noexec": None}]}]},
            {"mounts /a tmpfs_options": (1, 46)},
        ),
        (
            {"mounts": [{"target": "/a", "type": "image", "source": "i", "subpath": "b"}]},
            {"mounts /a image_subpath": (1, 48), "mounts /a type image": (1, 48)},
        ),
    ],
)
def test_what_an_older_engine_does_not_know_is_found(values, too_new):
    assert find_too_new(parse_options(values), (1, 41)) == too_new
    assert find_too_new(parse_options(values), (1, 48)) == {}


def test_options_of_a_tmpfs_are_lists_to_the_engine():
    def mount(*options):
        return {"mounts": [{"target": "/a", "type": "tmpfs", "tmpfs_options": list(options)}]}

    values = mount({"noexec": None}, {"uid": "5=6"})
    (rendered,) = render_body(parse_options(values))["HostConfig"]["Mounts"]
    assert rendered["TmpfsOptions"]["Options"] == [["noexec"], ["uid", "5=6"]]
    assert texts(values, container(**values)) == []
    assert texts(values, container(**mount())) == [
        "mounts /a tmpfs_options: expected [noexec, uid=5=6], found []"
    ]
    without = {"mounts": [{"target": "/a", "type": "tmpfs"}]}
    assert texts(without, container(**values)) == []


def test_what_image_and_engine_contribute_is_not_too_much():
    values = parse_options({"env": {"A": "1"}, "labels": {}, "exposed_ports": ["80"], "security_opts": []})
    image = {"Env": ["PATH=/bin"], "Labels": {"from": "image"}, "ExposedPorts": {"1/tcp": {}}}
    found = container(env={"A": "1"}, exposed_ports=["80"], published_ports=["90"], pid_mode="host")
    found["Config"]["Env"].append("PATH=/bin")
    found["Config"]["Labels"] = {"from": "image"}
    found["Config"]["ExposedPorts"]["1/tcp"] = {}
    found["HostConfig"]["SecurityOpt"] = ["label=disable"]
    strict = parse_comparisons({"*": "strict"})
    assert find_deviations(values, found, comparisons=strict, image_config=image) == ()
    found["Config"]["ExposedPorts"]["2/tcp"] = {}
    texts = [d.text for d in find_deviations(values, found, comparisons=strict, image_config=image)]
    assert texts == ["exposed_ports: expected nothing, found 2/tcp"]


@pytest.mark.parametrize(
    "text, expected",
    [
        ("", {}),
        ("# a comment\n\nA=1\n  B=x=y z \t\n#C=2\nD=\n", {"A": "1", "B": "x=y z", "D": ""}),
        ("A=b\x0bC=d\n", {"A": "b\x0bC=d"}),
    ],
)
def test_env_files(text, expected):
    assert parse_env_file("/etc/env", text) == expected


@pytest.mark.parametrize("text", ["A=1\nS3CRET\n", "\n=s3cret", "A =s3cret"])
def test_what_is_no_env_file_is_told_by_its_line_and_not_repeated(text):
    with pytest.raises(
        InvalidInput, match="^env_file /etc/env: expected NAME=value, found something else in line"
    ) as caught:
        parse_env_file("/etc/env", text)
    assert "s3cret" not in str(caught.value).lower()


@pytest.mark.parametrize(
    "text, expected",
    [
        ("linux/amd64", "linux/amd64"),
        ("linux/amd64/v1", "linux/amd64"),
        ("linux/amd64/v3", "linux/amd64/v3"),
        ("linux/arm64/8", "linux/arm64/v8"),
        ("linux/arm/7", "linux/arm/v7"),
        ("x86_64", "linux/amd64"),
        ("linux/aarch64", "linux/arm64/v8"),
        ("linux/arm", "linux/arm/v7"),
        ("linux/arm/v6", "linux/arm/v6"),
        ("armel", "linux/arm/v6"),
        ("linux", "linux"),
    ],
)
def test_platforms(text, expected):
    assert str(parse_platform("platform", text)) == expected


def test_an_image_fits_a_platform_by_its_normal_name():
    arm = {"Os": "linux", "Architecture": "arm64"}
    assert parse_platform("platform", "aarch64").fits(arm)
    assert parse_platform("platform", "linux").fits(arm)
    assert not parse_platform("platform", "linux/amd64").fits(arm)
    assert parse_platform("platform", "linux/amd64").fits({})


def test_what_is_no_platform():
    with pytest.raises(InvalidInput, match="^platform: expected os"):
        parse_platform("platform", "linux/amd64/v1/x")


# -- networks --------------------------------------------------------------------------------------


def attached(**networks):
    return {"NetworkSettings": {"Networks": networks}}


CI = Attachment("ci", aliases=("a",), ipv4_address="172.18.0.9")


@pytest.mark.parametrize(
    "found, expected",
    [
        (attached(ci=CI.render()), []),
        (attached(ci={**CI.render(), "Aliases": ["0123456789ab", "a"]}, other={}), []),
        (attached(other={}), ["networks ci: expected attached, found nothing"]),
        (attached(ci={**CI.render(), "Aliases": None}), ["networks ci: expected alias a, found nothing"]),
        (
            attached(ci={"Aliases": ["a"], "IPAMConfig": {"IPv4Address": "172.18.0.8"}}),
            ["networks ci: expected 172.18.0.9, found 172.18.0.8"],
        ),
        (
            attached(ci={"Aliases": ["a"], "IPAMConfig": None}),
            ["networks ci: expected 172.18.0.9, found nothing"],
        ),
    ],
)
def test_attachments_in_words(found, expected):
    assert [item.deviation.text for item in find_attachment_deviations((CI,), found)] == expected


@pytest.mark.parametrize(
    "endpoint, settings",
    [
        ({"IPAMConfig": None, "Aliases": None, "IPAddress": "172.18.0.2"}, {}),
        # What the engine has chosen or adds by itself is not asked for again.
        ({"Aliases": ["0123456789ab"], "MacAddress": "02:42:ac:12:00:02", "IPAddress": "172.18.0.2"}, {}),
        ({"MacAddress": "02:42:AC:12:00:09", "IPAddress": ""}, {"MacAddress": "02:42:ac:12:00:09"}),
        (
            {
                "IPAMConfig": {"IPv4Address": "172.18.0.9"},
                "Aliases": ["a", "0123456789ab"],
                "Links": ["other:o"],
                "DriverOpts": {"a": "1"},
                "GwPriority": 5,
                "Gateway": "172.18.0.1",
                "MacAddress": "9a:42:ac:12:00:09",
                "IPAddress": "172.18.0.9",
            },
            {
                "IPAMConfig": {"IPv4Address": "172.18.0.9"},
                "Aliases": ["a"],
                "Links": ["other:o"],
                "DriverOpts": {"a": "1"},
                "GwPriority": 5,
                "MacAddress": "9a:42:ac:12:00:09",
            },
        ),
    ],
)
def test_what_attaches_a_container_again_as_it_is(endpoint, settings):
    container = {"Id": "0123456789ab" + 52 * "0", **attached(ci=endpoint)}
    assert endpoint_settings(container, "ci") == settings
    assert endpoint_settings(container, "other") is None


def test_addresses_are_compared_by_value():
    attachment = parse_attachments([{"name": "ci", "ipv6_address": "fd00:0::9"}], "")[0]
    assert (
        find_attachment_deviations([attachment], attached(ci={"IPAMConfig": {"IPv6Address": "fd00::0:9"}}))
        == ()
    )


@pytest.mark.parametrize(
    "items, mode, message",
    [
        ([{"name": "a"}, {"name": "a"}], "", "networks a: expected to be named once, found 2 times"),
        ([{"name": "host"}], "", "networks host: expected a network that can be joined"),
        ([{"name": "a"}], "none", "network_mode none: expected no networks beside it, found a"),
        ([{"name": "a"}], "container:b", "network_mode container:b: expected no networks beside it, found a"),
        ([{"name": ""}], "", "networks: expected the name of a network"),
        (
            [{"name": "a", "aliases": [""]}],
            "",
            "networks a: aliases: expected names without blanks, found ''",
        ),
        ([{"name": "a", "aliases": ["b c"]}], "", "networks a: aliases: expected names without blanks"),
        (
            [{"name": "a", "driver_opts": {"b": "c\0"}}],
            "",
            "networks 'a' driver_opts b: expected text without",
        ),
        ([{"name": "a", "links": ["b c"]}], "", "networks a: links b c: expected container"),
        ([{"name": "a", "mac_address": "x"}], "", "networks a: mac_address: expected a MAC address"),
        ([{"name": "a", "driver_opts": {"b": True}}], "", "networks a: driver_opts b: expected a string"),
        ([{"name": "bridge", "aliases": ["x"]}], "", "networks bridge: expected no aliases"),
        (
            [{"name": "bridge", "ipv4_address": "172.17.0.9"}],
            "",
            "networks bridge: expected no fixed address",
        ),
        ([{"name": "bridge", "ipv6_address": "fd00::9"}], "", "networks bridge: expected no fixed address"),
        (
            [{"name": "a", "ipv4_address": "fd00::1"}],
            "",
            "networks a: expected an IPv4 address, found fd00::1",
        ),
        ([{"name": "a", "ipv6_address": "1.2.3.4/5"}], "", "networks a: expected an IPv6 address"),
    ],
)
def test_malformed_networks_are_refused_in_one_sentence(items, mode, message):
    with pytest.raises(InvalidInput, match=f"^{message}"):
        parse_attachments(items, mode)


FULL = {
    "name": "ci",
    "aliases": ["a"],
    "ipv4_address": "172.18.0.9",
    "links": ["other"],
    "mac_address": "02:42:AC:12:00:09",
    "driver_opts": {"a": 1},
    "gw_priority": 5,
}


@pytest.mark.parametrize("part", sorted(set(FULL) - {"name"}))
def test_each_part_of_an_attachment_reads_back_and_its_lack_is_seen(part):
    (attachment,) = parse_attachments([FULL], "")
    assert find_attachment_deviations([attachment], attached(ci=attachment.render())) == ()
    (without,) = parse_attachments([{key: value for key, value in FULL.items() if key != part}], "")
    (found,) = find_attachment_deviations([attachment], attached(ci=without.render()))
    assert found.attached
    assert found.deviation.text.startswith("networks ci: expected ")


def test_what_of_an_attachment_older_engines_do_not_know():
    (attachment,) = parse_attachments([FULL], "")
    needs = {"networks ci mac_address": (1, 44), "networks ci gw_priority": (1, 48)}
    assert attachment.needs() == needs
    assert Attachment("ci").needs() == {}
