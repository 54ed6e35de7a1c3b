"""Who may do what, and how much: API keys, page sessions, rate limits, queue limits and budgets.

`http` answers `/session` and `/admin/keys`; `gates` authenticates every request; `lookup` decides which
caller may see which job. This package imports the ground (`http`, `store`, `settings`, `telemetry`) and no
other concept. The text of a key or a cookie is never stored or logged, only its SHA-256.
"""
