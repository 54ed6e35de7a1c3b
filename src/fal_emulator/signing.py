"""Signs webhooks as FAL does: ED25519 over request id, user id, timestamp and body hash; keys as a JWKS.

Used by the webhook sender and the JWKS route. The key lives as long as the process.
"""

import base64
import hashlib
import time
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

USER_ID = "emulator-user"
"""The account in whose name every webhook is sent."""


class Signer:
    """One key pair, made when it is first asked for. May be called in several threads."""

    def __init__(self) -> None:
        self._making = Lock()
        self._made: Ed25519PrivateKey | None = None

    def jwks(self) -> dict[str, object]:
        """The public key as JSON Web Key Set (RFC 8037)."""
        raw = self._key().public_key().public_bytes_raw()
        x = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
        return {"keys": [{"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "x": x}]}

    def headers(self, request_id: str, body: bytes) -> dict[str, str]:
        """The four signature headers for this body, at the present second."""
        timestamp = str(int(time.time()))
        digest = hashlib.sha256(body).hexdigest()
        message = f"{request_id}\n{USER_ID}\n{timestamp}\n{digest}".encode()
        return {
            "X-Fal-Webhook-Request-Id": request_id,
            "X-Fal-Webhook-User-Id": USER_ID,
            "X-Fal-Webhook-Timestamp": timestamp,
            "X-Fal-Webhook-Signature": self._key().sign(message).hex(),
        }

    def _key(self) -> "Ed25519PrivateKey":
        # most runs sign nothing, and the library is an eighth of an idle emulator
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        with self._making:
            if self._made is None:
                self._made = Ed25519PrivateKey.generate()
            return self._made
