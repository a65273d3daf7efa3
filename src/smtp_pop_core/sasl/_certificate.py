"""The channel binding that a certificate gives: tls-server-end-point.  RFC 5929."""

import hashlib
from typing import Final


def _oid(text: str) -> bytes:
    """Encode an object identifier.  X.690 section 8.19."""
    first, second, *rest = map(int, text.split("."))
    encoded = bytearray()
    for number in (first * 40 + second, *rest):
        septets = [number & 0x7F]
        while number := number >> 7:
            septets.append(number & 0x7F | 0x80)
        encoded += bytes(reversed(septets))
    return bytes(encoded)


_RSA: Final = "1.2.840.113549.1.1"  # RFC 8017 appendix C
_ECDSA: Final = "1.2.840.10045.4"  # RFC 5758 section 3.2
_NIST: Final = "2.16.840.1.101.3.4"  # .2: hashes, .3: signatures

# MD5 and SHA-1 are replaced by SHA-256.  RFC 5929 section 4.1.
_SIGNATURES: Final = {
    _oid(f"{_RSA}.4"): "sha256",  # with MD5
    _oid(f"{_RSA}.5"): "sha256",  # with SHA-1
    _oid(f"{_RSA}.11"): "sha256",
    _oid(f"{_RSA}.12"): "sha384",
    _oid(f"{_RSA}.13"): "sha512",
    _oid(f"{_RSA}.14"): "sha224",
    _oid(f"{_ECDSA}.1"): "sha256",  # with SHA-1
    _oid(f"{_ECDSA}.3.1"): "sha224",
    _oid(f"{_ECDSA}.3.2"): "sha256",
    _oid(f"{_ECDSA}.3.3"): "sha384",
    _oid(f"{_ECDSA}.3.4"): "sha512",
    _oid("1.2.840.10040.4.3"): "sha256",  # DSA with SHA-1
    _oid(f"{_NIST}.3.1"): "sha224",  # DSA
    _oid(f"{_NIST}.3.2"): "sha256",
    _oid(f"{_NIST}.3.3"): "sha384",
    _oid(f"{_NIST}.3.4"): "sha512",
    _oid(f"{_NIST}.3.9"): "sha3_224",  # ECDSA
    _oid(f"{_NIST}.3.10"): "sha3_256",
    _oid(f"{_NIST}.3.11"): "sha3_384",
    _oid(f"{_NIST}.3.12"): "sha3_512",
    _oid(f"{_NIST}.3.13"): "sha3_224",  # RSA
    _oid(f"{_NIST}.3.14"): "sha3_256",
    _oid(f"{_NIST}.3.15"): "sha3_384",
    _oid(f"{_NIST}.3.16"): "sha3_512",
}
_RSASSA_PSS: Final = _oid(f"{_RSA}.10")
_HASHES: Final = {
    _oid("1.3.14.3.2.26"): "sha256",  # SHA-1
    _oid(f"{_NIST}.2.1"): "sha256",
    _oid(f"{_NIST}.2.2"): "sha384",
    _oid(f"{_NIST}.2.3"): "sha512",
    _oid(f"{_NIST}.2.4"): "sha224",
    _oid(f"{_NIST}.2.7"): "sha3_224",
    _oid(f"{_NIST}.2.8"): "sha3_256",
    _oid(f"{_NIST}.2.9"): "sha3_384",
    _oid(f"{_NIST}.2.10"): "sha3_512",
}

_BIT_STRING: Final = 0x03
_OBJECT_IDENTIFIER: Final = 0x06
_SEQUENCE: Final = 0x30
_FIRST: Final = 0xA0  # [0], explicit


def tls_server_end_point(certificate: bytes) -> bytes | None:
    """Return the hash of a server's certificate by the hash of its signature.

    Args:
        certificate: In DER, as TLS carries it.

    Returns:
        The data of the channel binding.  None where it is not defined: the signature
        has no hash of its own, as Ed25519, or one that is not known here, or this is
        not a certificate.
    """
    try:
        name = _hash_of_signature(certificate)
    except ValueError:
        return None
    return hashlib.new(name, certificate).digest() if name is not None else None


def _hash_of_signature(certificate: bytes) -> str | None:
    # Certificate         = SEQUENCE { tbsCertificate, signatureAlgorithm, signature }
    # AlgorithmIdentifier = SEQUENCE { OBJECT IDENTIFIER, parameters }      RFC 5280
    parts = _only(certificate, _SEQUENCE)
    _, parts = _element(parts, _SEQUENCE)
    algorithm, signature = _element(parts, _SEQUENCE)
    _only(signature, _BIT_STRING)
    name, parameters = _element(algorithm, _OBJECT_IDENTIFIER)
    if name != _RSASSA_PSS:
        return _SIGNATURES.get(name)
    # RSASSA-PSS-params = SEQUENCE { [0] AlgorithmIdentifier DEFAULT SHA-1, ... }
    parts = _only(parameters, _SEQUENCE)
    if not parts.startswith(bytes([_FIRST])):
        return "sha256"
    algorithm, _ = _element(parts, _FIRST)
    name, _ = _element(_only(algorithm, _SEQUENCE), _OBJECT_IDENTIFIER)
    return _HASHES.get(name)


def _only(data: bytes, tag: int) -> bytes:
    """Return what is in the one element that data consists of."""
    content, rest = _element(data, tag)
    if rest:
        raise ValueError("an element too many")
    return content


def _element(data: bytes, tag: int) -> tuple[bytes, bytes]:
    """Return what is in the first element, and what follows it.

    Raises:
        ValueError: It has another tag, or is not DER.  X.690 section 10.1.
    """
    if len(data) < 2 or data[0] != tag:
        raise ValueError("another element")
    length, start = data[1], 2
    if length > 0x7F:
        start += length & 0x7F
        length = int.from_bytes(data[2:start], "big")
        shortest = (length.bit_length() + 7) // 8
        if length <= 0x7F or start - 2 != shortest:
            raise ValueError("a length in another form than the shortest")
    end = start + length
    if end > len(data):
        raise ValueError("an element that breaks off")
    return data[start:end], data[end:]
