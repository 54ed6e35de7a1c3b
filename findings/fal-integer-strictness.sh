#!/bin/sh
# FAL's own server (PyPI fal 1.83.0, pydantic 2.14.4), asked over HTTP for fields that its OpenAPI document all calls
# "integer":
#   an integer without an enumeration takes 7, 7.0, "7" and true (as 1);
#   an integer with an enumeration takes 512 and 512.0, and refuses "512" and true.
# We had guessed that one JSON type in the document means one rule, or that a validator that is strict about "512" is
# strict about 512.0 too. So a client cannot learn from a string that worked for one field that strings work.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet fal==1.83.0 pydantic==2.14.4 httpx==0.28.1
cat > "$folder/try.py" <<'PY'
from typing import Literal

import fal
from fastapi.testclient import TestClient
from pydantic import BaseModel


class Request(BaseModel):
    seed: int = 0
    size: Literal[512, 1024] = 1024


class Answer(BaseModel):
    seed: int
    size: int


class App(fal.App):
    @fal.endpoint("/")
    def run(self, request: Request) -> Answer:
        return Answer(seed=request.seed, size=request.size)


server = App(_allow_init=True)._build_app()
fields = server.openapi()["components"]["schemas"]["Request"]["properties"]
client = TestClient(server)
print("document:", fields["seed"]["type"], fields["size"]["type"])
for body in ({"seed": 7.0}, {"seed": "7"}, {"seed": True}, {"size": 512.0}, {"size": "512"}, {"size": True}):
    reply = client.post("/", json=body)
    kind = reply.json()["detail"][0]["type"] if reply.status_code == 422 else reply.json()
    print(body, reply.status_code, kind, reply.headers.get("x-fal-billable-units"))
PY
"$folder/env/bin/python" -W ignore "$folder/try.py" 2>/dev/null | tee "$folder/seen"
cat > "$folder/expected" <<'TEXT'
document: integer integer
{'seed': 7.0} 200 {'seed': 7, 'size': 1024} None
{'seed': '7'} 200 {'seed': 7, 'size': 1024} None
{'seed': True} 200 {'seed': 1, 'size': 1024} None
{'size': 512.0} 200 {'seed': 0, 'size': 512} None
{'size': '512'} 422 literal_error 0
{'size': True} 422 literal_error 0
TEXT
diff "$folder/expected" "$folder/seen"
