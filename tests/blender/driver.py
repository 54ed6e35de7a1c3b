"""Runs inside Blender (`bpy`): executes the code of each line of standard input, answers with a line of JSON.

`{"code": …}` → `{"value": the variable `result`, "error": what was raised}`. Names stay from line to line.
"""

import contextlib
import json
import sys

import bpy

names = {"bpy": bpy}
answers = sys.stdout
for line in sys.stdin:
    answer = {"value": None, "error": None}
    names["result"] = None
    try:
        with contextlib.redirect_stdout(sys.stderr):
            exec(json.loads(line)["code"], names)  # noqa: S102
        answer["value"] = names["result"]
    except Exception as error:  # noqa: BLE001
        answer["error"] = str(error)
    print("\x01" + json.dumps(answer), file=answers, flush=True)
