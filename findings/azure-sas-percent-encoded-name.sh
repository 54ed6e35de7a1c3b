#!/bin/sh
# obstore 0.12.1 signs a SAS URL of an Azure blob over the percent-encoded path, and Azure verifies the name itself. We had
# guessed that a signed URL reads whatever the same store can put: a blob whose name has a space (here by the prefix) is put
# and read by key, and its signed URL is refused with 403. Names of letters, digits and . _ - / are read. The server is
# Azurite 3.35.0; the expected string is in Microsoft's "Create a service SAS": "must be URL-decoded".
set -eu
folder=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet obstore==0.12.1
npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$folder" azurite@3.35.0
port=$(python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$folder/node_modules/.bin/azurite-blob" --inMemoryPersistence --silent --disableTelemetry --skipApiVersionCheck --blobPort "$port" \
  -l "$folder" >"$folder/log" 2>&1 &
server=$!
cat > "$folder/try.py" <<'PY'
import base64, email.utils, hmac, sys, time, urllib.error, urllib.request
from datetime import timedelta

import obstore
from obstore.store import AzureStore

account = "devstoreaccount1"  # the emulator's, which Microsoft publishes with its key
key = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
endpoint = f"http://127.0.0.1:{sys.argv[1]}/{account}"
date, version = email.utils.formatdate(usegmt=True), "2021-08-06"
text = "PUT" + "\n" * 12 + f"x-ms-date:{date}\nx-ms-version:{version}\n/{account}/{account}/c\nrestype:container"
signed = base64.b64encode(hmac.digest(base64.b64decode(key), text.encode(), "sha256")).decode()
headers = {"x-ms-date": date, "x-ms-version": version, "Authorization": f"SharedKey {account}:{signed}"}
for _ in range(100):
    try:
        urllib.request.urlopen(urllib.request.Request(f"{endpoint}/c?restype=container", method="PUT", headers=headers))
        break
    except urllib.error.HTTPError:
        raise
    except OSError:
        time.sleep(0.2)
store = AzureStore("c", account_name=account, account_key=key, endpoint=endpoint, client_options={"allow_http": True})
for name in ("plain/model.glb", "with space/model.glb"):
    obstore.put(store, name, b"glTF")
    try:
        status = urllib.request.urlopen(obstore.sign(store, "GET", name, timedelta(minutes=1))).status
    except urllib.error.HTTPError as error:
        status = error.code
    print(name, "by key:", bytes(obstore.get(store, name).bytes()), "by signed URL:", status)
PY
"$folder/env/bin/python" "$folder/try.py" "$port" | tee "$folder/seen"
cat > "$folder/expected" <<'TEXT'
plain/model.glb by key: b'glTF' by signed URL: 200
with space/model.glb by key: b'glTF' by signed URL: 403
TEXT
diff "$folder/expected" "$folder/seen"
