"""Which task runs when and where: dispatch through ARQ, leases, permits, pauses and circuit breakers.

It imports `events`, `access`, `http`, `fal` and the ground below. It knows no step of a generation, never
sends a paid request, and never lets two workers hold one task.
"""
