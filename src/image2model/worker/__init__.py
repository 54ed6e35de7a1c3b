"""The worker process: picks images, takes each through FAL, keeps its leases, mends the store.

It never imports the API, nor the reverse; both talk through `service` and `store`.
"""
