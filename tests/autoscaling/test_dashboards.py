"""A panel that shows nothing is noticed, unless there is a reason; and every panel gets its box."""

import math

from tests.autoscaling.charts import Line
from tests.autoscaling.dashboards import NO_VALUE, Shown, faults, pictures, table, with_gaps
from tests.support.dashboards import Query, documents, queries

FULL = Line("a | b", [(0.0, 1.0), (1.0, math.nan), (2.0, 3.0)])


def test_empty_panel_without_a_reason_is_a_fault() -> None:
    empty = Shown(Query("store", "Memory", "up", "__auto"), {}, [])
    reasoned = Shown(Query("service", "Refused requests", "up", "{{code}}"), {}, [])
    shown = Shown(Query("store", "Replicas", "up", "__auto"), {}, [FULL])
    assert faults([shown, empty, reasoned]) == ["the panel store: Memory is empty"]
    assert "no request was refused" in table([reasoned])


def test_steps_that_were_left_out_are_a_gap() -> None:
    values = [(0.0, 1.0), (2.0, 1.0), (8.0, 2.0), (10.0, 2.0)]
    drawn = with_gaps(values, 2)
    assert [at for at, _ in drawn] == [0, 2, 4, 8, 10]
    assert [at for at, value in drawn if math.isnan(value)] == [4]
    assert with_gaps([], 2) == []


def test_reasons_are_of_panels_that_exist() -> None:
    assert {(one.dashboard, one.panel) for one in queries("prometheus")} >= NO_VALUE.keys()


def test_every_panel_has_a_row_and_a_box() -> None:
    shown = [Shown(one, {"a": 2.0}, [FULL]) for one in queries("prometheus")]
    drawn, rows = pictures(shown, 24), table(shown)
    assert drawn.keys() == documents().keys()
    for name, document in documents().items():
        assert drawn[name].count('class="title"') == len(document["panels"])
    assert "| 2 | - | - |" in rows
    assert "| - | 1 | 3 |" in rows
    assert "which does not run here" in rows
