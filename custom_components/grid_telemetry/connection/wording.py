"""What the system says of an error, in words that a user can do something with.

Error numbers, addresses of objects, places in the source of libraries and transaction ids stay in
the log.
"""

import os
import re
import socket
import ssl
from typing import Final

_REFUSED: Final = re.compile(r"\[Errno (\d+)\] Connect call failed \([^()]*\)")
_NUMBER: Final = re.compile(r"\[(?:Errno|WinError) -?\d+\]\s*")
_SSL: Final = re.compile(r"\[(?:SSL|X509|ASN1|PEM|CONF)[^\]]*\]\s*|\s*\(_?ssl\.c:\d+\)")
_OBJECT: Final = re.compile(r"\s*\bssl:(?:<[^<>]*>|\w+)|\s*<[^<>]* at 0x[0-9a-fA-F]+>")
_SEVERAL: Final = "Multiple exceptions: "
_SPACES: Final = re.compile(r"\s{2,}")
# What OpenSSL says of a file that is something else.
_PEM: Final = {"PEM lib", "no start line", "NO_START_LINE", "not enough data"}
_NOT_PEM: Final = "not a PEM file, or the key does not belong to the certificate"


def in_words(text: str) -> str:
    """Return a text of the system or a library without what only its authors understand."""
    text = _REFUSED.sub(lambda found: os.strerror(int(found[1])), text)
    text = _NUMBER.sub("", text)
    text = _SSL.sub("", text)
    text = _OBJECT.sub("", text)
    before, several, after = text.partition(_SEVERAL)
    if several:
        # One for each address of the host.
        text = before + ", ".join(dict.fromkeys(after.split(", ")))
    text = _SPACES.sub(" ", text).strip()
    return _NOT_PEM if text in _PEM else text


def words_of(err: BaseException) -> str:
    """Return what an error says, the innermost that knows why."""
    causes = [err]
    while (cause := causes[-1].__cause__) is not None:
        causes.append(cause)
    for cause in reversed(causes):
        match cause:
            case ssl.SSLCertVerificationError() if getattr(cause, "verify_message", ""):
                return str(cause.verify_message)
            case ssl.SSLError() | socket.gaierror():
                return in_words(cause.strerror or str(cause))
            case OSError(errno=int(number), filename=None) if number > 0:
                return os.strerror(number)
    text = next((str(cause) for cause in reversed(causes) if str(cause)), "")
    return in_words(text) or type(err).__name__
