"""Webhooks: those that we send when a job ends, and those that FAL sends to us.

It imports `generation`, `jobs`, `events` and what lies below them. Never here: a call to an address that the
guard does not allow, and a FAL callback that is believed without its signature.
"""
