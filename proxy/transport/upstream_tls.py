"""TLS towards an upstream: whom the proxy trusts, and why it did not.

Certificates are verified unless a route says otherwise. HTTP/1.1 is all that
is offered: an upstream that prefers HTTP/2 has to know that it will not get it.
"""

from __future__ import annotations

import ssl

from proxy.config.target import Target
from proxy.errors import UpstreamTLSFailed, UpstreamUntrusted

# OpenSSL's x509_vfy.h, as SSLCertVerificationError.verify_code has them.
NOT_YET_VALID, EXPIRED, REVOKED = 9, 10, 23
SELF_SIGNED = (18,)
UNKNOWN_AUTHORITY = (2, 19, 20, 21, 27)
OTHER_HOST = (62, 64)
# What OpenSSL makes of an answer that is no TLS at all; the name depends on
# its version.
NO_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST")


def trust(*, verify: bool, ca_file: str) -> ssl.SSLContext:
    """The TLS settings for targets that share `verify` and `ca_file`."""
    context = ssl.create_default_context(cafile=ca_file or None)
    context.set_alpn_protocols(["http/1.1"])
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def handshake_failed(fault: OSError, target: Target) -> UpstreamTLSFailed:
    """Say in our words why there is no TLS with a target that was connected to."""
    if isinstance(fault, ssl.SSLCertVerificationError):
        return UpstreamUntrusted(untrusted(fault, target))
    reason = getattr(fault, "reason", None) or ""
    if reason in NO_TLS:
        return UpstreamTLSFailed(
            f"{target} does not speak TLS; if it speaks plain HTTP, write http:// in "
            "the target"
        )
    if isinstance(fault, ssl.SSLEOFError | ConnectionError | TimeoutError):
        return UpstreamTLSFailed(
            f"{target} aborted the TLS handshake: {fault.strerror or fault}"
        )
    what = str(reason).replace("_", " ").lower() or fault.strerror or str(fault)
    return UpstreamTLSFailed(f"TLS with {target} failed: {what}")


def untrusted(fault: ssl.SSLCertVerificationError, target: Target) -> str:
    """What is wrong with a certificate, and which key or deed helps."""
    code = fault.verify_code
    if code == EXPIRED:
        return f"the certificate of {target} has expired: renew it"
    if code == NOT_YET_VALID:
        return (
            f"the certificate of {target} is not valid yet: check the clocks of both "
            "machines"
        )
    if code == REVOKED:
        return f"the certificate of {target} has been revoked"
    if code in OTHER_HOST:
        return (
            f"the certificate of {target} does not cover the host "
            f"{target.server_name}: use a host name in target that the certificate "
            "lists"
        )
    if code in SELF_SIGNED:
        return (
            f"the certificate of {target} is self-signed: set ca_file to that "
            "certificate"
        )
    if code in UNKNOWN_AUTHORITY:
        return (
            f"the certificate of {target} is signed by an unknown certificate "
            "authority: set ca_file to that CA"
        )
    return f"the certificate of {target} failed verification: {fault.verify_message}"
