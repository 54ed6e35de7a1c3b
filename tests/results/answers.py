"""Altered results: what status, result and bill can say. Read by the table."""

from typing import Any

from tests.support.altering import HTML, ONCE, Alteration, Body, ReplyChange, Spell, StatusChange, as_json

_SECOND, _TWO = Spell(seconds=1), Spell(seconds=2)
_NOT_FOUND = as_json({"detail": "Request not found"}, 404)
_SAFETY = {"loc": ["body"], "msg": "stopped because of safety violations", "type": "value_error"}
_REFUSED: dict[str, Any] = {
    "detail": [{"loc": ["body"], "msg": "no object in the image", "type": "value_error"}]
}


def _word(word: object) -> Any:
    return lambda status: {**status, "status": word}


def _ended(word: str) -> Any:
    """Another word at the end alone, with an error text."""

    def change(status: dict[str, Any]) -> object:
        if status["status"] != "COMPLETED":
            return status
        return {**status, "status": word, "error": f"The request ended as {word}"}

    return change


def _reply(name: str, body: Body | None, spell: Spell = Spell(), **more: Any) -> Alteration:  # noqa: B008 - frozen
    return Alteration(name, reply=ReplyChange(body, spell), **more)


STATUSES = (
    Alteration("status_failed_with_a_result", status=StatusChange(_ended("FAILED"))),
    Alteration("status_cancelled_with_a_result", status=StatusChange(_ended("CANCELLED"))),
    Alteration("status_lower_case", status=StatusChange(lambda s: {**s, "status": s["status"].lower()})),
    Alteration("status_unknown_at_first", status=StatusChange(_word("WARMING_UP"), _SECOND)),
    Alteration("status_null_at_first", status=StatusChange(_word(None), _SECOND)),
    Alteration("status_a_number_at_first", status=StatusChange(_word(3), _SECOND)),
    Alteration("status_empty_at_first", status=StatusChange(lambda _: Body(200, b"", "text/plain"), _SECOND)),
    Alteration("status_html_at_first", status=StatusChange(lambda _: HTML, _SECOND)),
    Alteration("status_a_list_at_first", status=StatusChange(lambda s: [s], _SECOND)),
    Alteration("status_404_at_first", status=StatusChange(lambda _: _NOT_FOUND, _SECOND)),
    Alteration(
        "status_502_at_first",
        status=StatusChange(lambda _: Body(502, b"<h1>nginx</h1>", "text/html"), _SECOND),
    ),
    Alteration(
        "status_with_more_fields", status=StatusChange(lambda s: {**s, "logs": 7, "metrics": [], "new": {}})
    ),
    Alteration("status_unknown_for_good", status=StatusChange(_word("WARMING_UP"))),
    Alteration("status_null_for_good", status=StatusChange(_word(None))),
    Alteration("status_ends_in_an_unknown_word", status=StatusChange(_ended("WEIRD"))),
    Alteration("status_html_for_good", status=StatusChange(lambda _: HTML)),
    Alteration("status_empty_for_good", status=StatusChange(lambda _: Body(200, b""))),
    Alteration("status_a_list_for_good", status=StatusChange(lambda s: [s])),
    Alteration(
        "status_502_for_good", status=StatusChange(lambda _: Body(502, b"<h1>nginx</h1>", "text/html"))
    ),
    Alteration("status_404_for_good", status=StatusChange(lambda _: _NOT_FOUND)),
)

REPLIES = (
    _reply("result_404_at_first", _NOT_FOUND, _SECOND),
    _reply("result_404_but_listed", _NOT_FOUND),
    _reply("result_404_for_good", _NOT_FOUND, hidden=True),
    _reply("result_html_at_first", HTML, _SECOND),
    _reply("result_html_for_good", HTML, hidden=True),
    _reply("result_empty_once", Body(200, b""), ONCE),
    _reply("result_empty_for_good", Body(200, b""), hidden=True),
    _reply("result_cut_once", None, ONCE),
    _reply("result_null_once", as_json(None), ONCE),
    _reply("result_null_for_good", as_json(None), hidden=True),
    _reply("result_an_empty_object", as_json({}), hidden=True),
    _reply("result_an_empty_list", as_json([]), hidden=True),
    _reply("result_a_text", as_json("done"), hidden=True),
    _reply("result_an_error", as_json({"error": "out of memory"}), hidden=True),
    _reply("result_a_status_once", as_json({"status": "IN_PROGRESS", "request_id": "x"}), ONCE),
    _reply("result_502_at_first", Body(502, b"<h1>nginx</h1>", "text/html"), _SECOND),
    _reply("result_504_at_first", Body(504, b"<h1>nginx</h1>", "text/html"), _SECOND),
    _reply("result_429_at_first", as_json({"detail": "Too many"}, 429), _SECOND),
    _reply("result_in_progress_at_first", as_json({"detail": "Request is still in progress"}, 400), _SECOND),
    _reply("result_500", as_json({"detail": "boom", "error_type": "internal_error"}, 500), hidden=True),
    _reply("result_422", as_json(_REFUSED, 422), hidden=True),
    _reply("result_422_free", as_json(_REFUSED, 422, x_fal_billable_units="0"), hidden=True),
    _reply("result_422_billed", as_json(_REFUSED, 422, x_fal_billable_units="1"), hidden=True),
    _reply("result_422_safety", as_json({"detail": [_SAFETY]}, 422), hidden=True),
)

BILLS = (
    Alteration("units_missing", units=""),
    Alteration("units_words", units="many"),
    Alteration("units_zero", units="0"),
    Alteration("units_too_few", units="0.3"),
    Alteration("units_more", units="2.5"),
    Alteration("units_negative", units="-1"),
    Alteration("units_not_a_number", units="nan"),
    Alteration("units_infinite", units="inf"),
    Alteration("units_absurd", units="999999"),
)
