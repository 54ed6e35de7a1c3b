"""What FAL bills when a generation ends, in its reply's header and in the ledger.

Called by the runners at each end. FAL's listed price is that of one unit: a run is as many units as make what
it costs with its parameters, so a run with default parameters is one generation, or fifty credits.
"""

from fal_emulator import prices
from fal_emulator.faults import Fault
from fal_emulator.generation import Answer, Generation

HEADER = "X-Fal-Billable-Units"


def bill(generation: Generation, answer: Answer) -> Answer:
    """The answer with FAL's header, and the ledger's line with what is billed: nothing for a 5xx or a cancel.

    The line's `billed_usd` stays null where FAL does not say: a 422 of a model that a runner has worked on.
    """
    entry, told = generation.entry, generation.faults.get(Fault.BILLABLE_UNITS)
    if answer.status >= 499:
        entry.billable_units, entry.billed_usd = 0.0, 0.0
        return answer
    units = _units(generation) if answer.status < 400 else answer.units
    if isinstance(told, float):
        units = told
    price = generation.endpoint.price
    entry.billable_units = units
    if units == 0:
        entry.billed_usd = 0.0
    else:
        entry.billed_usd = None if units is None or price is None else round(units * price, 6)
    return answer if units is None or told == "none" else answer.with_header(HEADER, f"{units:.12g}")


def _units(generation: Generation) -> float:
    return prices.units(generation.endpoint, generation.input, generation.latency)
