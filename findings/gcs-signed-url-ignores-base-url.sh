#!/bin/sh
# obstore 0.12.1 puts the host of GOOGLE_BASE_URL into a signed URL of Google Cloud Storage, and signs it for
# storage.googleapis.com all the same. We had guessed that the URL is signed for the host that it names. The signature is that
# of the same URL at Google's own host, so a server that verifies the signed header `host` (all of them must) refuses it.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet obstore==0.12.1 cryptography==46.0.3
cat > "$folder/try.py" <<'PY'
import json
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import obstore
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from obstore.store import GCSStore

key = rsa.generate_private_key(65537, 2048).private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
)
account = json.dumps({"client_email": "a@b.c", "private_key_id": "1", "private_key": key.decode()})
plain = GCSStore("bucket", service_account_key=account)
other = GCSStore("bucket", service_account_key=account, config={"base_url": "https://gcs.example:4443"})
while True:  # both in the same second
    urls = [obstore.sign(store, "GET", "a", timedelta(minutes=1)) for store in (plain, other)]
    queries = [parse_qs(urlsplit(url).query) for url in urls]
    if queries[0]["X-Goog-Date"] == queries[1]["X-Goog-Date"]:
        break
print([urlsplit(url).netloc for url in urls], "signed headers:", queries[1]["X-Goog-SignedHeaders"])
print("same signature:", queries[0]["X-Goog-Signature"] == queries[1]["X-Goog-Signature"])
PY
"$folder/env/bin/python" "$folder/try.py" | tee "$folder/seen"
cat > "$folder/expected" <<'TEXT'
['storage.googleapis.com', 'gcs.example:4443'] signed headers: ['host']
same signature: True
TEXT
diff "$folder/expected" "$folder/seen"
