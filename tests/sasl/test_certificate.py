import hashlib
from datetime import UTC, datetime

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from hypothesis import given
from hypothesis import strategies as st

from smtp_pop_core.sasl import tls_server_end_point

RSA = rsa.generate_private_key(65_537, 2_048)
EC = ec.generate_private_key(ec.SECP256R1())
PSS = "1.2.840.113549.1.1.10"


def builder() -> x509.CertificateBuilder:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mx.example")])
    return (
        x509.CertificateBuilder(name, name, serial_number=1)
        .public_key(RSA.public_key())
        .not_valid_before(datetime(2025, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2035, 1, 1, tzinfo=UTC))
    )


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [
        (hashes.SHA224(), "sha224"),
        (hashes.SHA256(), "sha256"),
        (hashes.SHA384(), "sha384"),
        (hashes.SHA512(), "sha512"),
        (hashes.SHA3_256(), "sha3_256"),
        (hashes.SHA3_512(), "sha3_512"),
    ],
)
@pytest.mark.parametrize("key", [RSA, EC])
def test_the_hash_is_that_of_the_signature(
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey,
    algorithm: hashes.SHA256,
    expected: str,
) -> None:
    certificate = der(builder().sign(key, algorithm))
    assert tls_server_end_point(certificate) == (
        hashlib.new(expected, certificate).digest()
    )


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [(hashes.SHA256(), "sha256"), (hashes.SHA384(), "sha384")],
)
def test_the_hash_of_rsa_pss_is_in_its_parameters(
    algorithm: hashes.SHA256, expected: str
) -> None:
    filled = padding.PSS(padding.MGF1(algorithm), padding.PSS.DIGEST_LENGTH)
    certificate = der(builder().sign(RSA, algorithm, rsa_padding=filled))
    assert tls_server_end_point(certificate) == (
        hashlib.new(expected, certificate).digest()
    )


def test_ed25519_has_no_hash_of_its_own() -> None:
    certificate = builder().sign(ed25519.Ed25519PrivateKey.generate(), None)
    assert tls_server_end_point(der(certificate)) is None


def test_the_certificate_of_a_test_server_gives_a_binding() -> None:
    leaf = trustme.CA().issue_cert("mx.example").cert_chain_pems[0].bytes()
    certificate = der(x509.load_pem_x509_certificate(leaf))
    assert tls_server_end_point(certificate) == hashlib.sha256(certificate).digest()


# By hand, for what is no longer made.


def element(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def algorithm(oid: str, *parameters: bytes) -> bytes:
    first, second, *rest = map(int, oid.split("."))
    octets = bytearray([first * 40 + second])
    for number in rest:
        digits = [number % 128]
        while number := number // 128:
            digits.append(128 + number % 128)
        octets += bytes(reversed(digits))
    return element(0x30, element(6, bytes(octets)), *parameters)


def certificate_with(*parts: bytes) -> bytes:
    return element(0x30, element(0x30, bytes(300)), *parts, element(3, b"\0x"))


@pytest.mark.parametrize(
    ("oid", "expected"),
    [
        ("1.2.840.113549.1.1.4", "sha256"),  # RSA with MD5
        ("1.2.840.113549.1.1.5", "sha256"),  # RSA with SHA-1
        ("1.2.840.10045.4.1", "sha256"),  # ECDSA with SHA-1
        ("1.2.840.10040.4.3", "sha256"),  # DSA with SHA-1
        ("2.16.840.1.101.3.4.3.3", "sha384"),  # DSA with SHA-384
    ],
)
def test_old_hashes_are_replaced(oid: str, expected: str) -> None:
    certificate = certificate_with(algorithm(oid))
    assert tls_server_end_point(certificate) == (
        hashlib.new(expected, certificate).digest()
    )


SHA_1 = algorithm("1.3.14.3.2.26")
SHA_512 = algorithm("2.16.840.1.101.3.4.2.3", element(5))


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        (element(0x30), "sha256"),
        (element(0x30, element(0xA2, b"\2\1\x20")), "sha256"),
        (element(0x30, element(0xA0, SHA_1)), "sha256"),
        (element(0x30, element(0xA0, SHA_512), element(0xA2, b"x")), "sha512"),
    ],
)
def test_rsa_pss_has_a_default(parameters: bytes, expected: str) -> None:
    certificate = certificate_with(algorithm(PSS, parameters))
    assert tls_server_end_point(certificate) == (
        hashlib.new(expected, certificate).digest()
    )


GOOD = certificate_with(algorithm("1.2.840.113549.1.1.11", element(5)))


@pytest.mark.parametrize(
    "certificate",
    [
        *(b"", b"\x30", b"\x30\x00", b"\x31" + GOOD[1:], GOOD + b"\0", GOOD[:-1]),
        certificate_with(algorithm("1.2.3.4")),
        certificate_with(),
        certificate_with(algorithm(PSS)),
        certificate_with(algorithm(PSS, element(0x30), b"\0")),
        certificate_with(algorithm(PSS, element(0x30, element(0xA0, b"x")))),
        certificate_with(
            algorithm(PSS, element(0x30, element(0xA0, algorithm("1.2.3"))))
        ),
        certificate_with(algorithm("1.2.840.113549.1.1.11"), element(5)),
        b"\x30\x80" + GOOD[4:] + b"\0\0",  # an indefinite length
        b"\x30\x83\0" + GOOD[2:],
        b"\x30\x83\0" + len(GOOD[4:]).to_bytes(2, "big") + GOOD[4:],
        b"\x30\x81\x02\x30\0",
        b"\x30\xff" + b"\xff" * 127,
    ],
)
def test_what_is_no_certificate_gives_no_binding(certificate: bytes) -> None:
    assert tls_server_end_point(GOOD) is not None
    assert tls_server_end_point(certificate) is None


@given(
    st.binary(max_size=60)
    | st.integers(0, len(GOOD)).map(lambda end: GOOD[:end])
    | st.tuples(st.integers(0, len(GOOD) - 1), st.binary(min_size=1, max_size=4)).map(
        lambda change: GOOD[: change[0]] + change[1] + GOOD[change[0] + 1 :]
    )
)
def test_any_octets_give_a_binding_or_none(octets: bytes) -> None:
    assert tls_server_end_point(octets) in {None, hashlib.sha256(octets).digest()}
