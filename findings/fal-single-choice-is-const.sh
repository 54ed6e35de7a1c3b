#!/bin/sh
# FAL's own server (PyPI fal 1.83.0, pydantic 2.14.4) writes a field with several allowed values as `enum`, and a field
# with one allowed value as `const`, without `enum`; where null is allowed besides, the `const` stands inside `anyOf`.
# We had guessed an `enum` of one. A client that looks for `enum` alone takes such a field for free text and learns of
# the one value from the 422. The field's default of null is not in the document at all.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet fal==1.83.0 pydantic==2.14.4
cat > "$folder/try.py" <<'PY'
import json
from typing import Literal, Optional

import fal
from pydantic import BaseModel


class Request(BaseModel):
    quality: Literal["high", "low"] = "high"
    pack: Literal["detail"] = "detail"
    addon: Optional[Literal["detail"]] = None


class Answer(BaseModel):
    done: bool


class App(fal.App):
    @fal.endpoint("/")
    def run(self, request: Request) -> Answer:
        return Answer(done=True)


document = App(_allow_init=True)._build_app().openapi()
print(document["openapi"])
for name, field in document["components"]["schemas"]["Request"]["properties"].items():
    print(name, json.dumps(field, sort_keys=True))
PY
"$folder/env/bin/python" -W ignore "$folder/try.py" 2>/dev/null | tee "$folder/seen"
cat > "$folder/expected" <<'TEXT'
3.1.0
quality {"default": "high", "enum": ["high", "low"], "title": "Quality", "type": "string"}
pack {"const": "detail", "default": "detail", "title": "Pack", "type": "string"}
addon {"anyOf": [{"const": "detail", "type": "string"}, {"type": "null"}], "title": "Addon"}
TEXT
diff "$folder/expected" "$folder/seen"
