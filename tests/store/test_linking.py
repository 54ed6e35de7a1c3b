"""A script carries what it needs of the library, in the library's order, and nothing else."""

from image2model.store.scripts import link

LIBRARY = """-- Shared; unused() is named here only.
local LIMIT = 5
local K = {}
K.job = function(id) return 'job:' .. id end
K.job_events = function(id) return 'events:' .. id end

local function half(value)
  local below = LIMIT
  return value / 2
end
local function quarter(value) return half(half(value)) end
local function unused() return quarter(K.job(1)) end
"""


def declared(text: str) -> list[str]:
    """First lines of what stands at the left."""
    return [line for line in text.splitlines() if line.startswith(("local", "K."))]


def test_what_a_needed_function_needs_comes_before_it() -> None:
    assert declared(link(LIBRARY, "return quarter(8)\n")) == [
        "local LIMIT = 5",
        "local function half(value)",
        "local function quarter(value) return half(half(value)) end",
    ]


def test_only_the_keys_that_are_named_come_along() -> None:
    assert declared(link(LIBRARY, "return K.job_events(1)\n")) == [
        "local K = {}",
        "K.job_events = function(id) return 'events:' .. id end",
    ]


def test_script_that_needs_nothing_stays_as_it_is() -> None:
    assert link(LIBRARY, "return 1\n") == "return 1\n"
