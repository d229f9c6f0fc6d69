# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy
import json
import re

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import InvalidInput
from ansible_collections.wormhole.docker.plugins.module_utils._container.attachments import (
    Attachment,
    endpoint_settings,
    find_attachment_deviations,
    parse_attachments,
)
from ansible_collections.wormhole.docker.plugins.module_utils._container.names import parse_image
from ansible_collections.wormhole.docker.plugins.module_utils._container.option import Comparison, Kind
from ansible_collections.wormhole.docker.plugins.module_utils._container.options import (
    OPTIONS,
    arguments,
    find_deviations,
    find_too_new,
    find_unsupported,
    hide_arguments,
    hide_values,
    merge_options,
    parse_comparisons,
    parse_options,
    render_body,
    render_update,
    show_values,
)
from ansible_collections.wormhole.docker.plugins.module_utils._container.platform import parse_platform
from ansible_collections.wormhole.docker.plugins.module_utils._container.values import parse_env_file
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._engine.io.contract import (
    OPTION_VALUES,
    deviating,
    with_companions,
)


def container(**values):
    """Return the inspection of a container with these options."""
    body = render_body(parse_options(values))
    host_config = body.pop("HostConfig", {})
    return {"Config": body, "HostConfig": host_config}


def texts(values, found):
    return [deviation.text for deviation in find_deviations(parse_options(values), found)]


def test_the_contract_covers_every_option():
    assert set(OPTION_VALUES) == {option.name for option in OPTIONS}


def test_every_option_has_its_argument():
    assert set(arguments()) == set(OPTION_VALUES) | {"restart_retries", "env_file"}


@pytest.mark.parametrize("option", sorted(OPTION_VALUES))
def test_an_option_that_is_not_set_is_neither_rendered_nor_compared(option):
    assert parse_options({option: None}) == {}
    found = container(**with_companions(option, OPTION_VALUES[option][0]))
    assert find_deviations({}, found, comparisons=parse_comparisons({"*": "strict"})) == ()


@pytest.mark.parametrize("option", sorted(OPTION_VALUES))
def test_an_option_reads_back_and_its_change_is_found(option):
    first, second = (with_companions(option, value) for value in OPTION_VALUES[option])
    for own, other in ((first, second), (second, first)):
        assert deviating(parse_options(own), container(**own)) == ()
        assert deviating(parse_options(own), container(**other)) == (option,)


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_a_rendered_value_reads_back_as_it_was_parsed(option):
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
def test_parsed_and_shown_values_are_json(option):
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
def test_texts_of_deviations(values, found, expected):
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
def test_updates_in_place(values, expected):
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
def test_settings_of_the_container_can_rule_out_an_update(values, host_config, expected):
    parsed = parse_options(values)
    assert render_update(parsed, parsed, {"HostConfig": host_config}) == expected


def test_wiring_is_merged_into_options_that_are_set():
    own = {"env": {"A": "b"}, "groups": ("5",), "user": "7"}
    added = {"env": {"C": "d"}, "groups": ("5", "6"), "volumes": ("/a:/b",), "labels": {}}
    assert merge_options(own, added) == {
        "env": {"A": "b", "C": "d"},
        "groups": ("5", "6"),
        "volumes": ("/a:/b",),
        "user": "7",
    }
    assert own["env"] == {"A": "b"}


def test_options_that_the_engine_would_ignore_are_found():
    values = parse_options({"memory": "8m", "user": "5"})
    assert find_unsupported(values, {"MemoryLimit": False}) == ("memory",)
    assert find_unsupported(values, {"MemoryLimit": True}) == ()
    assert find_unsupported(values, {}) == ()


# What docker_container takes, and what it means.
@pytest.mark.parametrize(
    "values, canonical",
    [
        ({"volumes": ["/data:rw", "/other/"]}, {"volumes": ("/data", "/other")}),
        ({"published_ports": ["80/TCP", "81:81/Udp"]}, {"published_ports": ("80/tcp", "81:81/udp")}),
        ({"published_ports": ["[fe80::1%eth0]:80:80"]}, {"published_ports": ("[fe80::1%eth0]:80:80/tcp",)}),
        ({"published_ports": [":80"]}, {"published_ports": ("80/tcp",)}),
        ({"exposed_ports": [" 90/UDP "]}, {"exposed_ports": ("90/udp",)}),
        ({"pids_limit": 0}, {"pids_limit": -1}),
        ({"memory_swappiness": -1}, {"memory_swappiness": -1}),
        ({"command": 5}, {"command": ("5",)}),
        ({"command": 1.5}, {"command": ("1.5",)}),
        *(
            ({name: ""}, {})
            for name in (
                *("working_dir", "stop_signal", "mac_address", "network_mode", "cpuset_cpus", "cpuset_mems"),
                *("user", "log_driver", "runtime", "ipc_mode"),
            )
        ),
    ],
)
def test_notations_of_docker_container(values, canonical):
    assert parse_options(values) == canonical


def test_a_colon_in_the_path_of_an_anonymous_volume_belongs_to_it():
    # docker_container creates this for /data:rw.
    found = {"Config": {"Volumes": {"/data:rw": {}}}, "HostConfig": {}}
    assert texts({"volumes": ["/data:rw"]}, found) == ["volumes: expected /data, found nothing"]
    assert texts({"volumes": ["/data:rw"]}, container(volumes=["/data"])) == []


def test_a_swappiness_that_is_the_engines_default_needs_no_support():
    values = parse_options({"memory_swappiness": -1})
    assert find_unsupported(values, {"CgroupVersion": "2"}) == ()


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
def test_equal_values_in_different_notations(first, second):
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
def test_notations_that_an_engine_reports_unchanged(path, value):
    values = parse_options(
        {
            "PortBindings": {"published_ports": ["[::1]:80:80"]},
            "Dns": {"dns_servers": ["2001:db8::1"]},
            "Mounts": {"mounts": [{"target": "/a", "source": "/srv/b", "type": "bind"}]},
        }[next(iter(value))]
    )
    assert find_deviations(values, {path: value}) == ()


# Malformed values of each option, with the beginning of the message.
MALFORMED = [
    ({"command": "a 'b"}, "command cannot be split into words: No closing quotation"),
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
        "healthcheck timeout: expected at least a millisecond",
    ),
    (
        {"healthcheck": {"test": "true", "retries": -1}},
        "healthcheck retries: expected a number of at least 0",
    ),
    (
        {"restart_retries": 3},
        "restart_retries is set, but restart_policy is not set. Set restart_policy: on-failure",
    ),
    (
        {"restart_policy": "always", "restart_retries": 3},
        "restart_retries is set, but restart_policy is always. Set restart_policy: on-failure",
    ),
    (
        {"restart_policy": "on-failure", "restart_retries": -1},
        "restart_retries: expected a number of at least 0",
    ),
    ({"auto_remove": True, "restart_policy": "always"}, "auto_remove contradicts restart_policy always"),
    ({"log_options": {"max-size": "1m"}}, "log_options is set without log_driver"),
    ({"log_options": {"compress": True}, "log_driver": "local"}, "log_options compress: expected a string"),
    ({"volumes": ["a:b"]}, "volumes a:b: the path in the container, b, is not absolute"),
    ({"volumes": ["/a:"]}, "volumes /a:: no path in the container"),
    ({"volumes": [":/b"]}, "volumes :/b: the source before the colon is empty"),
    ({"volumes": ["/a:/b:ro:z"]}, "volumes /a:/b:ro:z: it has 4 parts between colons. Give at most a source"),
    (
        {"volumes": ["a/b:/c"]},
        "volumes a/b:/c: 'a/b' is neither an absolute path nor the name of a volume. Write ./a/b",
    ),
    ({"volumes": ["a:/c"]}, "volumes a:/c: 'a' is too short for the name of a volume"),
    ({"volumes": ["/a:/b:rx"]}, "volumes /a:/b:rx: 'rx' is not a mode of a volume"),
    ({"volumes": ["/a:ro"]}, "volumes /a:ro: an anonymous volume has no mode ro. Use mounts, or give"),
    ({"volumes": ["/a:ro,rw"]}, "volumes /a:ro,rw: the modes ro and rw exclude each other"),
    ({"mounts": [{"target": "a"}]}, "mounts a: expected an absolute target"),
    (
        {"mounts": [{"target": "/a"}, {"target": "/a/"}]},
        "mounts /a: mounted twice",
    ),
    ({"mounts": [{"target": "/a", "type": "bind"}]}, "mounts /a: source: expected an absolute path"),
    ({"mounts": [{"target": "/a", "source": "/b"}]}, "mounts /a: source: expected the name of a volume"),
    ({"mounts": [{"target": "/a", "type": "image"}]}, "mounts /a: source: expected a source for type image"),
    (
        {"mounts": [{"target": "/a", "tmpfs_size": "1m"}]},
        "mounts /a: tmpfs_size is not available for type volume",
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
    ({"tmpfs": ["a"]}, "tmpfs a: the path 'a' is not absolute"),
    ({"tmpfs": ["/a", "/a:rw"]}, "tmpfs /a: mounted twice"),
    (
        {"tmpfs": ["/a"], "volumes": ["/x:/a"]},
        "/a is mounted more than once, by volumes and tmpfs",
    ),
    ({"volumes_from": ["a b"]}, "volumes_from a b: 'a b' is not the name or ID of a container"),
    ({"volumes_from": ["a:rx"]}, "volumes_from a:rx: 'rx' is not a mode of a volume"),
    ({"volumes_from": ["a:"]}, "volumes_from a:: '' is not a mode of a volume"),
    ({"storage_opts": {"size": None}}, "storage_opts size: expected a string"),
    ({"shm_size": "0"}, "shm_size: expected a size above 0"),
    ({"shm_size": "big"}, "shm_size: expected a size"),
    ({"network_mode": " "}, "network_mode: expected bridge"),
    ({"network_mode": "container:"}, "network_mode: expected container:NAME, found container:"),
    (
        {"network_mode": "container:a", "dns_servers": ["192.0.2.1"]},
        "dns_servers contradicts network_mode container:a",
    ),
    (
        {"network_mode": "container:a", "published_ports": ["80"]},
        "published_ports contradicts network_mode container:a",
    ),
    *(
        ({"published_ports": [text]}, f"published_ports {text or repr(text)}: {message}")
        for text, message in (
            ("http", "'http' is not a port"),
            ("", "the port of the container is missing"),
            ("80:", "the port of the container is missing"),
            ("[::1:80:80", "the bracket before the address is not closed. Write [::1]:80:80"),
            ("[::1", "the bracket before the address is not closed"),
            ("::1:80:80", "an IPv6 address has to be in brackets. Write [::1]:80:80"),
            ("fd00::1:80", "an IPv6 address has to be in brackets. Write [fd00::1]::80 for a port that"),
            ("[::1]:80", "the port of the host is missing after the address ::1. Write [::1]::80 for a"),
            (
                "127.0.0.1:80",
                "the port of the host is missing after the address 127.0.0.1. Write 127.0.0.1::80",
            ),
            ("[::1]80", "no colon and port follow the address ::1"),
            ("a.example:80:80", "'a.example' is not an IP address. Use the address; names of hosts are not"),
            ("localhost:80", "'localhost' is not a port"),
            ("1:2:3:4", "it has 4 parts between colons"),
            ("0", "0 is not a port of the container: ports are 1 to 65535"),
            ("0:80", "0 is not a port of the host: ports are 1 to 65535. Leave the port of the host out"),
            ("80:65536", "65536 is not a port of the container"),
            ("90-80", "the range 90-80 ends before it begins"),
            ("80-", "'80-' is not a port"),
            ("80-81:80-82", "80-81 has 2 ports of the host, and 80-82 has 3 of the container. Make both"),
            ("80/tcpp", "'tcpp' is not a protocol. Use one of tcp, udp, sctp"),
            ("80/", "'' is not a protocol"),
            ("80/udp:80", "the protocol is not at its end"),
        )
    ),
    (
        {"published_ports": ["all"], "publish_all_ports": False},
        "publish_all_ports is false, but published_ports contains all",
    ),
    ({"exposed_ports": ["80:80"]}, "exposed_ports 80:80: an exposed port has neither an address nor a port"),
    ({"exposed_ports": ["all"]}, "exposed_ports all: it is not the number of a port"),
    ({"exposed_ports": ["0"]}, "exposed_ports 0: 0 is not a port"),
    ({"etc_hosts": {"a": "b"}}, "etc_hosts a: expected an IP address or host-gateway, found b"),
    ({"dns_servers": ["dns.example.org"]}, "dns_servers dns.example.org: expected an IP address"),
    ({"mac_address": "02:42"}, "mac_address: expected a MAC address"),
    (
        {"links": ["a:b:c"]},
        "links a:b:c: it has 3 parts between colons. Give at most a container and an alias",
    ),
    ({"links": ["a b"]}, "links a b: 'a b' is not the name or ID of a container"),
    ({"links": ["a:"]}, "links a:: '' is not an alias"),
    ({"memory": "lots"}, "memory: expected a size"),
    ({"memory_reservation": "-1"}, "memory_reservation: expected a size"),
    (
        {"memory_reservation": "2g", "memory": "1g"},
        "memory_reservation is 2147483648 bytes, but memory is 1073741824 bytes",
    ),
    (
        {"memory_swap": "1g"},
        "memory_swap is 1073741824 bytes and includes memory, but memory is without limit",
    ),
    (
        {"memory_swap": "1g", "memory": "2g"},
        "memory_swap is 1073741824 bytes and includes memory, but memory is 2147483648 bytes",
    ),
    ({"memory_swap": "none"}, "memory_swap: expected a size"),
    ({"memory_swappiness": 101}, "memory_swappiness: expected a number from 0 to 100, or -1"),
    ({"cpus": -1.0}, "cpus: expected a number of processors"),
    ({"cpus": 1.5, "cpu_quota": 50000}, "cpus and cpu_quota both limit processor time"),
    ({"cpu_period": 10}, "cpu_period: expected a number from 1000 to 1000000, or 0"),
    ({"cpu_quota": 10}, "cpu_quota: expected a number of at least 1000, or 0, or -1"),
    ({"cpu_shares": 1}, "cpu_shares: expected a number from 2 to 262144, or 0"),
    ({"cpuset_cpus": "all"}, "cpuset_cpus: expected numbers such as 0-3"),
    ({"cpuset_mems": "0;1"}, "cpuset_mems: expected numbers such as 0-3"),
    ({"pids_limit": -2}, "pids_limit: expected a number of at least 1, or 0, or -1"),
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
        "device_write_iops /dev/a: set twice",
    ),
    ({"oom_score_adj": 2000}, "oom_score_adj: expected a number from -1000 to 1000"),
    ({"ulimits": ["nofile"]}, "ulimits nofile: no number follows nofile. Give the soft limit"),
    ({"ulimits": ["nofile:1:2:3"]}, "ulimits nofile:1:2:3: 3 numbers follow nofile"),
    ({"ulimits": ["nofile:many"]}, "ulimits nofile:many: 'many' is neither a number nor -1"),
    ({"ulimits": ["nofile:2:1"]}, "ulimits nofile:2:1: the soft limit 2 is above the hard one, 1"),
    ({"ulimits": ["core:0", "core:1"]}, "ulimits core: set twice"),
    ({"capabilities": ["net-admin"]}, "capabilities 'net-admin': expected a capability"),
    ({"cap_drop": [""]}, "cap_drop '': expected a capability"),
    (
        {"security_opts": ["systempaths=unconfined"]},
        "security_opts systempaths=unconfined is an option of Docker's CLI",
    ),
    ({"security_opts": ["secure"]}, "security_opts secure: expected an option such as"),
    ({"devices": ["null"]}, "devices null: the path of the device, 'null', is not absolute"),
    ({"devices": ["/dev/a:b"]}, "devices /dev/a:b: the path in the container, 'b', is not absolute"),
    ({"devices": ["/dev/a:/dev/b:x"]}, "devices /dev/a:/dev/b:x: 'x' is not a permission. Use r, w and m"),
    ({"devices": ["/dev/a:/dev/b:r:w"]}, "devices /dev/a:/dev/b:r:w: it has 4 parts between colons"),
    (
        {"device_requests": [{"count": 1, "device_ids": ["0"]}]},
        "device_requests: expected count or device_ids",
    ),
    ({"device_requests": [{"options": {"a": None}}]}, "device_requests options a: expected a string"),
    ({"device_requests": [{"count": -2}]}, "device_requests count: expected a number of at least -1"),
    ({"device_cgroup_rules": ["c 42"]}, "device_cgroup_rules c 42: it has 2 words instead of 3"),
    ({"device_cgroup_rules": ["d 1:2 r"]}, "device_cgroup_rules d 1:2 r: 'd' is not a type (a, b or c)"),
    ({"device_cgroup_rules": ["c 1 r"]}, "device_cgroup_rules c 1 r: '1' is not major:minor"),
    ({"device_cgroup_rules": ["c 1:2 x"]}, "device_cgroup_rules c 1:2 x: 'x' is not permissions"),
    ({"sysctls": {"net.a": True}}, "sysctls net.a: expected a string"),
    ({"userns_mode": "private"}, "userns_mode: expected host"),
    ({"pid_mode": "private"}, "pid_mode: expected host or container:NAME"),
    ({"ipc_mode": "shared"}, "ipc_mode: expected none or private or shareable or host or container:NAME"),
    ({"uts": "private"}, "uts: expected host"),
    ({"user": "a:b:c"}, "user: expected a user, or user:group, found 'a:b:c'"),
    ({"groups": [""]}, "groups: expected a name without whitespace, found ''"),
    ({"hostname": "a b"}, "hostname: expected a name of at most 64 characters without whitespace"),
    ({"hostname": "a" * 65}, "hostname: expected a name of at most 64 characters"),
    ({"domainname": "a b"}, "domainname: expected a name of at most 64 characters"),
    ({"env": {"A B": "c"}}, "env 'A B': expected a name"),
    ({"env": {"A": "s3cret\0"}}, "env A: expected text without NUL bytes"),
    ({"labels": {"a\0": "b"}}, "labels: expected text without NUL bytes"),
    ({"command": ["a", "b\0"]}, "command: expected text without NUL bytes"),
    ({"mounts": [{"target": "/a\0"}]}, "mounts target: expected text without NUL bytes"),
    ({"memory": "64"}, "memory: expected at least 6m, or 0 for no limit, found '64'"),
    ({"memory_reservation": "1m"}, "memory_reservation: expected at least 6m"),
    ({"ulimits": ["foo:1:2"]}, "ulimits foo:1:2: 'foo' is not a limit. Use one of as, core, cpu, data"),
    ({"cpuset_cpus": "0,3-1"}, "cpuset_cpus: expected numbers such as 0-3"),
    ({"capabilities": ["FOO"]}, "capabilities 'FOO': expected a capability"),
    ({"cap_drop": ["CAP_CAP_CHOWN"]}, "cap_drop 'CAP_CAP_CHOWN': expected a capability"),
    ({"tmpfs": ["/a:size=1m,nonsense"]}, "tmpfs /a: 'nonsense' is not an option of a tmpfs"),
    (
        {"volumes": ["/a:/b:shared,private"]},
        "volumes /a:/b:shared,private: the modes shared and private exclude each other",
    ),
    ({"volumes": ["/a:/b:ro,rw"]}, "volumes /a:/b:ro,rw: the modes ro and rw exclude each other"),
    ({"volumes": ["/a:/b:z,Z"]}, "volumes /a:/b:z,Z: the modes z and Z exclude each other"),
    ({"uts": "host", "hostname": "a"}, "hostname a contradicts uts host"),
]

# Options that accept any string, boolean or choice; Ansible rejects other types.
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
def test_malformed_options_are_rejected_in_one_line(values, message):
    with pytest.raises(
        InvalidInput, match=f"^{re.escape(message) if '.*' not in message else message}"
    ) as caught:
        parse_options(values)
    assert "\n" not in str(caught.value)


def test_every_option_has_a_malformed_value():
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
        {"volumes": ["/a:rw"]},
        {"memory": ".5g"},
        {"memory": "1.G"},
    ],
)
def test_values_that_engines_accept_are_not_rejected(values):
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
def test_malformed_images(text):
    with pytest.raises(InvalidInput, match="^image: expected an image name in lower case"):
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
            "comparisons user: expected strict or ignore, because it is a single value",
        ),
        ({"image": "allow_more_present"}, "comparisons image: expected strict or ignore"),
        ({"platform": "allow_more_present"}, "comparisons platform: expected strict or ignore"),
    ],
)
def test_malformed_comparisons_are_rejected(comparisons, message):
    with pytest.raises(InvalidInput, match=f"^{re.escape(message)}"):
        parse_comparisons(comparisons)


def test_comparisons_accept_aliases_and_prefer_names_to_the_wildcard():
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
def test_parts_that_require_a_newer_engine_are_found(values, too_new):
    assert find_too_new(parse_options(values), (1, 41)) == too_new
    assert find_too_new(parse_options(values), (1, 48)) == {}


def test_options_of_a_tmpfs_are_rendered_as_lists():
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


def test_a_strict_comparison_accepts_items_of_image_and_engine():
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
def test_a_malformed_env_file_is_reported_by_line_and_not_quoted(text):
    with pytest.raises(InvalidInput, match="^env_file /etc/env: line [12] is not NAME=value") as caught:
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


def test_an_image_fits_a_platform_by_its_normalised_name():
    arm = {"Os": "linux", "Architecture": "arm64"}
    assert parse_platform("platform", "aarch64").fits(arm)
    assert parse_platform("platform", "linux").fits(arm)
    assert not parse_platform("platform", "linux/amd64").fits(arm)
    assert parse_platform("platform", "linux/amd64").fits({})


def test_a_malformed_platform():
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
def test_texts_of_attachment_deviations(found, expected):
    assert [item.deviation.text for item in find_attachment_deviations((CI,), found)] == expected


@pytest.mark.parametrize(
    "endpoint, settings",
    [
        ({"IPAMConfig": None, "Aliases": None, "IPAddress": "172.18.0.2"}, {}),
        # Values that the engine has chosen or added are left out.
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
def test_settings_that_connect_a_container_as_before(endpoint, settings):
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
        ([{"name": "a"}, {"name": "a"}], "", "networks names a 2 times"),
        (
            [{"name": "host"}],
            "",
            "networks names host, which a container cannot be connected to. Set network_mode: host",
        ),
        ([{"name": "a"}], "none", r"network_mode none contradicts networks \(a\)"),
        ([{"name": "a"}], "container:b", r"network_mode container:b contradicts networks \(a\)"),
        ([{"name": ""}], "", "networks: expected the name of a network"),
        (
            [{"name": "a", "aliases": [""]}],
            "",
            "networks a: aliases: expected a name without whitespace, found ''",
        ),
        ([{"name": "a", "aliases": ["b c"]}], "", "networks a: aliases: expected a name without whitespace"),
        (
            [{"name": "a", "driver_opts": {"b": "c\0"}}],
            "",
            "networks 'a' driver_opts b: expected text without",
        ),
        (
            [{"name": "a", "links": ["b c"]}],
            "",
            "networks a: links b c: 'b c' is not the name or ID of a container",
        ),
        ([{"name": "a", "mac_address": "x"}], "", "networks a: mac_address: expected a MAC address"),
        ([{"name": "a", "driver_opts": {"b": True}}], "", "networks a: driver_opts b: expected a string"),
        ([{"name": "bridge", "aliases": ["x"]}], "", "networks bridge: the default bridge has no aliases"),
        (
            [{"name": "bridge", "ipv4_address": "172.17.0.9"}],
            "",
            "networks bridge: the default bridge has no fixed addresses",
        ),
        (
            [{"name": "bridge", "ipv6_address": "fd00::9"}],
            "",
            "networks bridge: the default bridge has no fixed addresses",
        ),
        (
            [{"name": "a", "ipv4_address": "fd00::1"}],
            "",
            "networks a: expected an IPv4 address, found fd00::1",
        ),
        ([{"name": "a", "ipv6_address": "1.2.3.4/5"}], "", "networks a: expected an IPv6 address"),
    ],
)
def test_malformed_networks_are_rejected_in_one_line(items, mode, message):
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
def test_each_part_of_an_attachment_reads_back_and_its_absence_is_found(part):
    (attachment,) = parse_attachments([FULL], "")
    assert find_attachment_deviations([attachment], attached(ci=attachment.render())) == ()
    (without,) = parse_attachments([{key: value for key, value in FULL.items() if key != part}], "")
    (found,) = find_attachment_deviations([attachment], attached(ci=without.render()))
    assert found.attached
    assert found.deviation.text.startswith("networks ci: expected ")


def test_parts_of_an_attachment_that_require_a_newer_engine():
    (attachment,) = parse_attachments([FULL], "")
    needs = {"networks ci mac_address": (1, 44), "networks ci gw_priority": (1, 48)}
    assert attachment.needs() == needs
    assert Attachment("ci").needs() == {}


INSPECTION = {
    "Config": {
        "Env": ["TOKEN=s3cret=x", "EMPTY=", "REMOVED", "DOCKER_HOST=tcp://172.17.0.1:2376"],
        "User": "1",
    },
    "HostConfig": {
        "LogConfig": {"Type": "splunk", "Config": {"splunk-token": "s3cret", "tag": "x"}},
        "Mounts": [
            {"Type": "bind", "Source": "/a"},
            {
                "Type": "volume",
                "VolumeOptions": {"DriverConfig": {"Name": "cifs", "Options": {"o": "password=s3cret"}}},
            },
        ],
        "Memory": 1,
    },
    "Name": "/x",
}


def test_an_inspection_is_shown_without_secrets():
    inspection = copy.deepcopy(INSPECTION)
    shown = hide_values(inspection)
    assert inspection == INSPECTION
    assert "s3cret" not in str(shown)
    assert shown["Config"] == {
        "Env": ["TOKEN=(hidden)", "EMPTY=(hidden)", "REMOVED", "DOCKER_HOST=tcp://172.17.0.1:2376"],
        "User": "1",
    }
    assert shown["HostConfig"]["LogConfig"] == {
        "Type": "splunk",
        "Config": {"splunk-token": "(hidden)", "tag": "x"},
    }
    assert shown["HostConfig"]["Mounts"][1]["VolumeOptions"]["DriverConfig"] == {
        "Name": "cifs",
        "Options": {"o": "(hidden)"},
    }
    assert (shown["Name"], shown["HostConfig"]["Memory"]) == ("/x", 1)


@pytest.mark.parametrize(
    "inspection", [{}, {"Config": None}, {"HostConfig": {"LogConfig": None, "Mounts": None}}]
)
def test_an_inspection_without_values_stays_as_it_is(inspection):
    assert hide_values(inspection) == inspection


def test_arguments_are_shown_without_secrets():
    volume = {"type": "volume", "target": "/v", "volume_options": {"o": "password=s3cret"}}
    given = {
        "name": "ci",
        "env": {"TOKEN": "s3cret", "DOCKER_CONTEXT": "x"},
        "log_options": {"splunk-token": "s3cret"},
        "log_opt": {"splunk-token": "s3cret"},
        "mounts": [volume, {"type": "bind"}, "malformed"],
    }
    shown = hide_arguments(given)
    assert "s3cret" not in str(shown)
    assert shown["env"] == {"TOKEN": "(hidden)", "DOCKER_CONTEXT": "x"}
    assert (shown["name"], shown["mounts"][1:]) == ("ci", given["mounts"][1:])
    assert hide_arguments({"env": "malformed", "mounts": None}) == {"env": "malformed", "mounts": None}
