"""Pictures that came as addresses: fetched by a worker, behind the address guard, before their images start.

An address may be signed. It stands in the fetch's record alone, and never in a log, an event, an error, a
document or a trace. Nothing here spends money.
"""
