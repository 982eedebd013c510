"""The names in a certificate, read as `cryptography` has written them."""

from __future__ import annotations

import datetime
import ipaddress

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.certificate_names import host_names

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))  # signs in 64 bytes
PEM = serialization.Encoding.PEM
BEGUN = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)
LABEL = st.text("abcXYZ019-", min_size=1, max_size=40)
HOST = st.lists(LABEL, min_size=1, max_size=5).map(".".join)
NAME = st.one_of(
    HOST.map(x509.DNSName),
    HOST.map(lambda host: x509.DNSName(f"*.{host}")),
    HOST.map(lambda host: x509.RFC822Name(f"a@{host}")),
    HOST.map(lambda host: x509.UniformResourceIdentifier(f"https://{host}/")),
    st.ip_addresses().map(x509.IPAddress),
    st.just(x509.RegisteredID(x509.ObjectIdentifier("1.2.3"))),
)


def certificate(names: list[x509.GeneralName], *, others: bool = True) -> bytes:
    """Signed by itself, with a common name that is no name of it."""
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "cn.test")])
    made = (
        x509.CertificateBuilder(subject, subject, KEY.public_key(), 1)
        .not_valid_before(BEGUN)
        .not_valid_after(BEGUN + DAY)
    )
    if others:
        made = made.add_extension(x509.BasicConstraints(ca=True, path_length=1), True)
    if names:
        made = made.add_extension(x509.SubjectAlternativeName(names), critical=True)
    if others:
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        made = made.add_extension(usage, critical=False)
    return made.sign(KEY, None).public_bytes(PEM)


@given(st.lists(NAME, max_size=60), st.booleans())
def test_all_hosts_are_read_and_nothing_else(
    names: list[x509.GeneralName], others: bool
) -> None:
    hosts = [each.value.lower() for each in names if isinstance(each, x509.DNSName)]
    assert host_names(certificate(names, others=others)) == [*dict.fromkeys(hosts)]


def test_the_first_certificate_of_a_chain_counts() -> None:
    one, other = (certificate([x509.DNSName(n)]) for n in ("a.test", "b.test"))
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    assert host_names(b"a comment\n" + one + other) == ["a.test"]
    assert host_names(certificate([address])) == []


def test_other_words_for_a_certificate_are_read() -> None:
    text = certificate([x509.DNSName("a.test")])
    for word in (b"X509 CERTIFICATE", b"TRUSTED CERTIFICATE"):
        assert host_names(text.replace(b"CERTIFICATE", word)) == ["a.test"]


@given(st.data())
def test_what_is_broken_has_names_or_none_and_never_fails(data: st.DataObject) -> None:
    text = certificate([x509.DNSName("a.test"), x509.DNSName("*.b.test")])
    place = data.draw(st.integers(0, len(text) - 1))
    broken = text[:place] + data.draw(st.binary(max_size=3)) + text[place + 1 :]
    assert isinstance(host_names(broken), list)
    assert isinstance(host_names(text[:place]), list)


@given(st.binary())
def test_what_is_no_certificate_has_no_names(text: bytes) -> None:
    assert host_names(text) == []
