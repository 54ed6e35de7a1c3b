"""What flame graphs make of a profiler's samples."""

from collections import Counter
from xml.etree import ElementTree

import pytest

from tests.bench import stacks
from tests.bench.flame_graph import draw

_START = "<module> (a.py:1);run (uvloop/__init__.py:38);Runner.run (asyncio/runners.py:86)"
_PY_SPY = f"""\
{_START} 6
{_START};put (/home/me/src/image2model/fal/session.py:9);send (/home/me/site-packages/aiohttp/client.py:3) 3
{_START};write (/home/me/lib/python3.11/site-packages/aiohttp/http.py:7) 1
 40
"""
_PERF = """\
valkey-server 7  1.5:   5 cpu-clock:
\t    a1 hashTypeSet+0x3 (/home/me/valkey-server)
\t    a2 hsetCommand+0x1 (/home/me/valkey-server)
\t    a3 VM_CallArgv+0x8c (/home/me/valkey-server)
\t    a4 [unknown] (/home/me/valkey-server)
\t    a5 evalShaCommand+0x1 (/home/me/valkey-server)
\t    a6 processCommand+0x1 (/home/me/valkey-server)
\t    a6 aeMain+0x2e (/home/me/valkey-server)
\t    a7 main+0x4c2 (/home/me/valkey-server)

valkey-server 7  1.6:   5 cpu-clock:
\t    b1 lua_call+0x1 (/home/me/valkey-server)
\t    b2 scriptingEngineCallFunction+0x1 (/home/me/valkey-server)
\t    b3 main+0x4c2 (/home/me/valkey-server)

valkey-server 7  1.7:   5 cpu-clock:
\tffffffff81730042 __x64_sys_fdatasync+0x12 ([kernel.kallsyms])
\t    c1 __GI_fdatasync+0x3a (inlined)
\t    c2 flushAppendOnlyFile+0x8b (/home/me/valkey-server)
\t    c3 beforeSleep+0x4fe (/home/me/valkey-server)
\t    c4 aeMain+0x2e (/home/me/valkey-server)

"""


def test_a_cost_is_the_function_of_ours_with_what_it_calls() -> None:
    found = stacks.from_py_spy(_PY_SPY)
    assert found.total() == 10
    assert stacks.largest(found, stacks.python_cost) == [
        ("the event loop itself: sockets, timers", 0.6),
        ("put (image2model/fal/session.py)", 0.3),
        ("write (aiohttp/http.py)", 0.1),
    ]
    assert len(stacks.largest(found, stacks.python_cost, 2)) == 2


def test_a_cost_of_the_store_is_its_command_and_not_the_script_around_it() -> None:
    found = stacks.from_perf(_PERF)
    assert {name for name, _ in stacks.largest(found, stacks.store_cost)} == {
        "hsetCommand",
        "scripts themselves",
        "flushAppendOnlyFile",
    }
    assert ("main", "scriptingEngineCallFunction", "lua_call") in found


@pytest.mark.parametrize("found", [stacks.from_py_spy(_PY_SPY), stacks.from_perf(_PERF)])
def test_a_picture_names_no_folder_of_the_machine(found: Counter[stacks.Stack]) -> None:
    assert "/home/me" not in draw("x", found)


def test_a_frame_is_as_wide_as_its_share_and_lies_below_its_caller() -> None:
    drawn = draw("a <b>", Counter({("f", "g"): 3, ("f",): 1, ("h<lambda>",): 4}))
    svg = ElementTree.fromstring(drawn)  # noqa: S314 - our own text
    boxes = {
        group[0].text: [float(group[1].get(name, "0")) for name in ("x", "y", "width")]
        for group in svg.iter("{http://www.w3.org/2000/svg}g")
    }
    f, g, h = boxes["f: 50.0%"], boxes["g: 37.5%"], boxes["h<lambda>: 50.0%"]
    assert (f[0], g[0], h[0]) == (0, 0, 600)
    assert (f[2], g[2], h[2]) == pytest.approx((600, 450, 600), abs=0.5)
    assert f[1] == h[1] < g[1]


def test_nothing_recorded_is_an_empty_picture() -> None:
    assert "0 samples" in draw("x", Counter())
