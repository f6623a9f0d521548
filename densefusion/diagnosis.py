"""Why a TLS connection to a server does not come about, in words that say what to do.

Client libraries often say no more than "certificate verify failed", or that the server hung up.
After such a failure the handshake is tried once more here, where OpenSSL's own reason can be had.
"""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

_SECONDS = 3.0
# X509_V_ERR_* of OpenSSL's x509_vfy.h
_NOT_YET, _EXPIRED, _HOST, _ADDRESS = 9, 10, 62, 64
_GONE = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ConnectionResetError, BrokenPipeError)


def tls_fault(
    host: str,
    port: int,
    *,
    ca: Path | None = None,
    certificate: Path | None = None,
    key: Path | None = None,
    key_password: str = "",
    settings: str = "DENSEFUSION_KAFKA__SECURITY",
) -> str | None:
    """What is wrong between us and the server, or None where the handshake succeeds, or nobody is
    there.

    Args:
        settings: begin of the names of the settings, for the advice.
    """
    try:
        context = ssl.create_default_context(cafile=None if ca is None else str(ca))
        # Newer Pythons are stricter than the libraries that this speaks for.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if certificate is not None:
            context.load_cert_chain(certificate, key, lambda: key_password)
    except (OSError, ValueError) as error:  # SSLError is an OSError
        return f"the files of {settings}__* do not fit together: {_reason(error)}"
    try:
        with _connected(host, port) as plain:
            try:
                with context.wrap_socket(plain, server_hostname=host) as secured:
                    return _answer(secured, settings, certificate)
            except ssl.SSLCertVerificationError as error:
                return _certificate_fault(error, host, settings)
            except ssl.SSLError as error:
                if error.reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"):
                    return f"it does not speak TLS on this port: {settings} names another protocol"
                if isinstance(error, _GONE):
                    return _not_tls(settings)
                return f"no TLS with it: {_reason(error)}"
            except _GONE:
                return _not_tls(settings)
    except OSError:
        return None


def speaks_tls(host: str, port: int) -> bool:
    """Whether a server at that address answers to TLS at all, whoever it is."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with _connected(host, port) as plain, context.wrap_socket(plain, server_hostname=host):
            return True
    except ssl.SSLError as error:  # an alert is an answer, too
        return "ALERT" in (error.reason or "")
    except OSError:
        return False


def _connected(host: str, port: int) -> socket.socket:
    return socket.create_connection((host, port), _SECONDS)


def _answer(secured: ssl.SSLSocket, settings: str, certificate: Path | None) -> str | None:
    """In TLS 1.3 the server refuses our certificate only after the handshake."""
    secured.settimeout(0.5)
    try:
        secured.recv(1)
    except TimeoutError:
        return None
    except ssl.SSLError as error:
        if "ALERT" not in (error.reason or ""):
            return None
        if certificate is None:
            return (
                f"it asks for a client's certificate ({_reason(error)}): set "
                f"{settings}__CERTIFICATE and __KEY"
            )
        return f"it does not accept our certificate ({_reason(error)}): {certificate}"
    except OSError:
        return None
    return None


def _not_tls(settings: str) -> str:
    return f"it hangs up on TLS, so this port is probably plain text; see {settings}"


def _certificate_fault(error: ssl.SSLCertVerificationError, host: str, settings: str) -> str:
    match error.verify_code:
        case code if code == _EXPIRED:
            return "its certificate has expired: it needs a new one, or this machine's clock is off"
        case code if code == _NOT_YET:
            return "its certificate is not valid yet: this machine's clock may be off"
        case code if code in (_HOST, _ADDRESS):
            return (
                f"its certificate is not for {host}: name the server as its certificate does, or "
                "have the name put into the certificate"
            )
    return (
        f"its certificate is signed by nobody we trust ({error.verify_message}): set "
        f"{settings}__CA to the CA's PEM file"
    )


def _reason(error: Exception) -> str:
    reason = getattr(error, "reason", None)
    return str(reason or error).lower().replace("_", " ")
