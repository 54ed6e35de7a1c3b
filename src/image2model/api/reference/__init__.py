"""The reference: what every address takes and answers, as one table and as OpenAPI 3.1.

Who calls it: the route of `/openapi.json`, and the generator of the pages in `docs/`. It describes and
serves nothing else; a test compares it with the tables of routes.
"""
