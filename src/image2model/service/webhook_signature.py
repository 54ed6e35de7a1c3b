"""Signs outgoing webhooks as Standard Webhooks does, symmetric version `v1`.

Who calls it: the worker, once for each attempt, for the time of the attempt is signed too.
Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import hashlib
import hmac

from image2model.store.secret import WEBHOOK_PREFIX


def signed_headers(secret: str, message_id: str, at_s: int, body: bytes) -> dict[str, str]:
    """The three headers of one attempt. `secret` is `whsec_` and base64, `at_s` seconds since the epoch."""
    key = base64.b64decode(secret.removeprefix(WEBHOOK_PREFIX) + "==")
    signed = f"{message_id}.{at_s}.".encode() + body
    signature = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(at_s),
        "webhook-signature": f"v1,{signature}",
    }
