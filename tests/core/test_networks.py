"""Where a push may go is a table, and nothing is asked or connected to for an answer."""

from __future__ import annotations

import pytest

from service.errors import ConfigurationError
from service.networks import AllowedNetworks, find_callback_fault, host_of, vet_address

NONE = AllowedNetworks()
SOME = AllowedNetworks.parse("127.0.0.0/8, 10.1.0.0/16, fd00::/8")


@pytest.mark.parametrize("ip", [
    "8.8.8.8", "1.1.1.1", "223.5.5.5", "2001:4860:4860::8888", "2400:3200::1", "::ffff:8.8.8.8",
])
@pytest.mark.parametrize(("port", "refusal"), [
    (80, None), (443, None), (22, "port_refused"), (8080, "port_refused"), (8443, "port_refused"), (0, "port_refused"),
])
def test_a_public_address_is_reached_on_the_ports_of_the_web_alone(ip: str, port: int, refusal: str | None) -> None:
    assert vet_address(ip, port, NONE) == vet_address(ip, port, SOME) == refusal


@pytest.mark.parametrize("ip", [
    "0.0.0.0", "0.1.2.3", "10.2.0.1", "100.64.0.1", "169.254.169.254", "172.16.0.1", "192.168.0.1",
    "192.0.0.9", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1",
    "168.63.129.16", "192.31.196.1", "192.52.193.1", "192.88.99.1", "192.175.48.1",
    "224.0.0.1", "233.252.0.1", "240.0.0.1", "255.255.255.255",
    "::", "::1", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "ff0e::1", "100::1", "5f00::1", "4000::1",
    "::8.8.8.8",                     # IPv4-compatible
    "::ffff:192.168.0.1",            # IPv4-mapped
    "::ffff:0:8.8.8.8",              # IPv4-translated
    "64:ff9b::8.8.8.8", "64:ff9b::192.168.0.1", "64:ff9b:1::1",  # NAT64
    "2002:808:808::1", "2002:7f00:1::",  # 6to4
    "2001::1", "2001:0:53aa:64c::1",     # Teredo
    "2001:db8::1", "2001:1::1", "2001:2::1", "2001:4:112::1", "2001:10::1", "2001:20::1", "3fff::1", "2620:4f:8000::1",
])
def test_every_other_address_is_refused(ip: str) -> None:
    for port in (80, 443, 8080):
        assert vet_address(ip, port, NONE) == vet_address(ip, port, SOME) == "address_refused"


@pytest.mark.parametrize("ip", ["127.0.0.1", "127.255.0.1", "10.1.255.255", "fd12::1", "::ffff:10.1.0.1"])
def test_an_allowed_network_is_reached_on_any_port_and_by_nobody_else(ip: str) -> None:
    for port in (80, 443, 22, 65535):
        assert vet_address(ip, port, SOME) is None
        assert vet_address(ip, port, NONE) == "address_refused"


# A host of a URL, and what is wrong with it where nothing is allowed, and where SOME is.
HOSTS = [
    # the address as everybody writes it
    ("8.8.8.8", None, None),
    ("10.1.0.1", "callback_address", None),
    ("10.2.0.1", "callback_address", "callback_address"),
    ("[2001:4860:4860::8888]", None, None),
    ("[FD00::1]", "callback_address", None),
    ("[::1]", "callback_address", "callback_address"),
    # as resolvers also read it: decimal, octal, hex, in fewer parts, with the root's dot
    ("2130706433", "callback_address", None),
    ("134744072", None, None),
    ("017700000001", "callback_address", None),
    ("0177.0.0.1", "callback_address", None),
    ("010.8.8.8", None, None),
    ("0x7f000001", "callback_address", None),
    ("0X7F.0x0.0x0.0x1", "callback_address", None),
    ("127.1", "callback_address", None),
    ("10.65537", "callback_address", None),
    ("0", "callback_address", "callback_address"),
    ("127.0.0.1.", "callback_address", None),
    ("2852039166", "callback_address", "callback_address"),
    # numeric and yet no address
    ("256.0.0.1", "callback_host", "callback_host"),
    ("4294967296", "callback_host", "callback_host"),
    ("08.8.8.8", "callback_host", "callback_host"),
    ("1.2.3.4.5", "callback_host", "callback_host"),
    ("0x", "callback_host", "callback_host"),
    ("partner.1", "callback_host", "callback_host"),
    ("partner.0x1", "callback_host", "callback_host"),
    ("127.0.0.1..", "callback_host", "callback_host"),
    # IPv4 inside IPv6
    ("[::ffff:8.8.8.8]", None, None),
    ("[::ffff:10.1.0.1]", "callback_address", None),
    ("[::ffff:a9fe:a9fe]", "callback_address", "callback_address"),
    ("[64:ff9b::7f00:1]", "callback_address", "callback_address"),
    ("[2002:7f00:1::]", "callback_address", "callback_address"),
    # brackets
    ("[fe80::1%25eth0]", "callback_host", "callback_host"),
    ("[8.8.8.8]", "callback_host", "callback_host"),
    ("[v1.fe80]", "callback_host", "callback_host"),
    ("[::1", "callback_host", "callback_host"),
    ("::1", "callback_host", "callback_host"),
    # names
    ("partner.example", None, None),
    ("PARTNER.Example.", None, None),
    ("a_b.partner.example", None, None),
    ("8.8.8.8.example", None, None),
    ("xn--fiqs8s.xn--fiqs8s", None, None),
    ("localhost", "callback_address", None),
    ("LOCALHOST.", "callback_address", None),
    ("api.localhost", "callback_address", None),
    ("", "callback_host", "callback_host"),
    (".", "callback_host", "callback_host"),
    (".partner.example", "callback_host", "callback_host"),
    ("partner..example", "callback_host", "callback_host"),
    ("partner.example..", "callback_host", "callback_host"),
    ("a" * 64 + ".example", "callback_host", "callback_host"),
    (".".join(["a" * 60] * 5), "callback_host", "callback_host"),
    # other letters and digits, which parsers map to ASCII in their own ways
    ("新闻.中国", "callback_host", "callback_host"),
    ("１２７.0.0.1", "callback_host", "callback_host"),
    ("127。0。0。1", "callback_host", "callback_host"),
    ("ⓛocalhost", "callback_host", "callback_host"),
    ("%31%32%37.0.0.1", "callback_host", "callback_host"),
    ("local%68ost", "callback_host", "callback_host"),
    # who am I speaking to?
    ("user@partner.example", "callback_credentials", "callback_credentials"),
    ("user:password@partner.example", "callback_credentials", "callback_credentials"),
    ("@partner.example", "callback_credentials", "callback_credentials"),
    ("partner.example@127.0.0.1", "callback_credentials", "callback_credentials"),
    ("partner.example\\@127.0.0.1", "callback_host", "callback_host"),
    ("partner.example\\.127.0.0.1", "callback_host", "callback_host"),
    ("partner.example 127.0.0.1", "callback_host", "callback_host"),
    ("partner.example\t", "callback_host", "callback_host"),
    ("partner.example\r\nHost:x", "callback_host", "callback_host"),
    ("partner.example\0", "callback_host", "callback_host"),
]


@pytest.mark.parametrize(("host", "fault", "fault_where_allowed"), HOSTS)
@pytest.mark.parametrize("scheme", ["http", "HTTPS"])
def test_a_callback_is_judged_by_its_host(
    scheme: str, host: str, fault: str | None, fault_where_allowed: str | None
) -> None:
    for rest in ("", "/", "/hook?a=1", "?a=@b"):
        assert find_callback_fault(f"{scheme}://{host}{rest}", NONE) == fault
        assert find_callback_fault(f"{scheme}://{host}{rest}", SOME) == fault_where_allowed


@pytest.mark.parametrize(("host", "port", "fault", "fault_where_allowed"), [
    ("8.8.8.8", "80", None, None),
    ("8.8.8.8", "443", None, None),
    ("8.8.8.8", "00443", None, None),
    ("8.8.8.8", "", None, None),
    ("8.8.8.8", "8080", "callback_port", "callback_port"),
    ("[2400:3200::1]", "8080", "callback_port", "callback_port"),
    ("partner.example", "443", None, None),
    # a name may lead to an allowed network, where every port is open
    ("partner.example", "8443", "callback_port", None),
    ("127.0.0.1", "8443", "callback_address", None),
    ("localhost", "8443", "callback_address", None),
    ("partner.example", "0", "callback_port", "callback_port"),
    ("partner.example", "65536", "callback_port", "callback_port"),
    ("partner.example", "99999", "callback_port", "callback_port"),
    ("partner.example", "000443", "callback_host", "callback_host"),
    ("partner.example", "-1", "callback_host", "callback_host"),
    ("partner.example", "http", "callback_host", "callback_host"),
    ("partner.example", "４４３", "callback_host", "callback_host"),
    ("partner.example", "80:80", "callback_host", "callback_host"),
])
def test_a_callback_is_judged_by_its_port(
    host: str, port: str, fault: str | None, fault_where_allowed: str | None
) -> None:
    assert find_callback_fault(f"https://{host}:{port}/", NONE) == fault
    assert find_callback_fault(f"https://{host}:{port}/", SOME) == fault_where_allowed


@pytest.mark.parametrize(("url", "fault"), [
    ("https://partner.example/hook#", "callback_fragment"),
    ("https://partner.example/#a", "callback_fragment"),
    ("https://partner.example#@127.0.0.1/", "callback_fragment"),
    ("ftp://partner.example/", "callback_scheme"),
    ("file:///etc/passwd", "callback_scheme"),
    ("gopher://127.0.0.1:6379/_FLUSHALL", "callback_scheme"),
    ("javascript:alert(1)", "callback_scheme"),
    ("//partner.example/", "callback_scheme"),
    ("partner.example", "callback_scheme"),
    (" https://partner.example/", "callback_scheme"),
    ("ht\ttps://partner.example/", "callback_scheme"),
    ("", "callback_scheme"),
    ("https:", "callback_host"),
    ("https:partner.example", "callback_host"),
    ("https:/partner.example", "callback_host"),
    ("https:///partner.example", "callback_host"),
    ("https:\\\\partner.example", "callback_host"),
    ("https://partner.example/新闻", "callback_host"),
    ("https://partner.example/a b", "callback_host"),
    ("https://partner.example/\n", "callback_host"),
])
def test_a_callback_is_judged_by_its_form(url: str, fault: str) -> None:
    assert find_callback_fault(url, NONE) == find_callback_fault(url, SOME) == fault


@pytest.mark.parametrize(("text", "inside", "outside"), [
    ("", [], ["127.0.0.1", "::1"]),
    (" , ", [], ["127.0.0.1"]),
    ("10.0.0.0/8", ["10.255.0.1"], ["172.16.0.1"]),
    ("10.1.2.3", ["10.1.2.3"], ["10.1.2.4"]),
    ("192.168.0.0/24,fd00::/8 , 127.0.0.0/8", ["192.168.0.1", "fd99::1", "127.1.1.1"], ["192.168.1.1", "fc00::1"]),
    ("0.0.0.0/0", ["10.0.0.1", "169.254.169.254"], ["::1"]),
])
def test_networks_are_read_from_the_environment(text: str, inside: list[str], outside: list[str]) -> None:
    allowed = AllowedNetworks.parse(text)
    assert [vet_address(ip, 9000, allowed) for ip in inside] == [None] * len(inside)
    assert [vet_address(ip, 9000, allowed) for ip in outside] == ["address_refused"] * len(outside)


@pytest.mark.parametrize("text", ["10.0.0.1/8", "10.0.0.0/33", "localhost", "10.0.0.0-10.0.0.9", "10.0.0.0/8;fd00::/8"])
def test_what_is_no_network_is_said(text: str) -> None:
    with pytest.raises(ConfigurationError, match="DIGLOT_ALLOW_NETWORKS"):
        AllowedNetworks.parse(text)


@pytest.mark.parametrize(("callback", "host"), [
    ("https://P.example/a?b=c", "p.example:443"), ("http://p.example.", "p.example:80"),
    ("https://p.example:8443/", "p.example:8443"), ("http://[::1]:90/", "::1:90"),
    ("mailto:Desk@P.example", "p.example"), ("http://[::", "http://[::"), ("http://p.example:99999/", "http://p.example:99999/"),
    ("", ""),
])
def test_a_callbacks_host_is_named_in_one_way(callback: str, host: str) -> None:
    assert host_of(callback) == host
