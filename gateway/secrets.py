"""The installation's master key, and what is derived from it: one key each to encrypt, to know keys, to name bodies.

The master key is ``GATEWAY_SECRET_KEY``, else a file of mode 0600 in the state folder that the first start makes.
Whoever has only the database learns no provider's secret and can present no virtual key: what is stored of a
virtual key is an HMAC, and a stored HMAC that is presented as a key is hashed like any other text.
"""

import hmac
import os
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from pathlib import Path

import structlog

from gateway.core.credentials import PREFIX
from gateway.settings import Settings, SettingsError

HINTED = len(PREFIX) + 4
"""The first characters of a virtual key, by which people tell it from others."""
_FILE = "secret.key"
_LEAST = 32
_FORMAT = "v1"
_NONCE = 12

_log = structlog.get_logger()


def new_virtual_key() -> str:
    """Return a virtual key of 256 random bits."""
    return PREFIX + secrets.token_urlsafe(32)


class SecretError(Exception):
    """What was encrypted can't be read back: another master key, or not what was stored there."""


class Keyring:
    """The keys of one installation."""

    def __init__(self, master: str) -> None:
        material = hmac.digest(b"llm-gateway", master.encode(), "sha256")
        self._hashing = _derived(material, b"virtual keys")
        self._encryption = _derived(material, b"provider secrets")
        self.bodies = _derived(material, b"bodies")
        """For the hashes under which bodies are stored."""
        self.id = _derived(material, b"id")[:4].hex()
        """Tells this master key from another; reveals nothing of it."""

    def hash(self, token: str) -> str:
        """Return what is stored of a virtual key or a console token, in hexadecimal digits."""
        return self.digest(token).hex()

    def digest(self, token: str) -> bytes:
        """Return the same as bytes."""
        return hmac.digest(self._hashing, token.encode("utf-8", "surrogateescape"), "sha256")

    def seal(self, secret: str, row: str, field: str) -> str:
        """Encrypt a secret for one field of one row; anywhere else it doesn't decrypt."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415  # 7 MB that few need

        nonce = os.urandom(_NONCE)
        head = f"{_FORMAT}.{self.id}"
        sealed = AESGCM(self._encryption).encrypt(nonce, secret.encode(), _context(head, row, field))
        return f"{head}.{urlsafe_b64encode(nonce + sealed).decode()}"

    def open(self, sealed: str, row: str, field: str) -> str:
        """Decrypt what ``seal`` made for the same field of the same row; raise ``SecretError`` for anything else."""
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415  # as above
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415  # as above

        head, _, data = sealed.rpartition(".")
        if head != f"{_FORMAT}.{self.id}":
            raise SecretError(
                f"it is encrypted under another secret_key than this one, whose id is {self.id}"
            )
        try:
            raw = urlsafe_b64decode(data)
            context = _context(head, row, field)
            return AESGCM(self._encryption).decrypt(raw[:_NONCE], raw[_NONCE:], context).decode()
        except (InvalidTag, ValueError):
            raise SecretError("it is damaged, or was stored in another place") from None


def _derived(material: bytes, purpose: bytes) -> bytes:
    """Expand the extracted material to one key (HKDF-SHA-256, RFC 5869 2.3: the first block is all that is needed)."""
    return hmac.digest(material, purpose + b"\x01", "sha256")


def _context(head: str, row: str, field: str) -> bytes:
    return f"{head}\x00{row}\x00{field}".encode()


def load(settings: Settings) -> Keyring:
    """Return the keys of this installation; make its master key if there is none yet."""
    return Keyring(settings.secret_key or _from_file(file(settings)))


def file(settings: Settings) -> Path:
    """Return where the master key is kept if the settings hold none."""
    return Path(settings.state_dir) / _FILE


def _from_file(path: Path) -> str:
    try:
        if not path.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _create(path)
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)
            _log.warning(f"{path} could be read by others than its owner; its mode is 0600 now")
        master = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise SettingsError(
            f"{path}: the secret key can't be kept there: {reason}; choose another folder with GATEWAY_STATE_DIR"
        ) from None
    if len(master) < _LEAST:
        raise SettingsError(
            f"{path}: the secret key is blank or cut; restore it, or, if nothing was encrypted yet, delete the file"
        )
    return master


def _create(path: Path) -> None:
    """Make the file appear with its content in it: of two processes that start at once one wins, and both read it."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return
    finally:
        draft.unlink()
