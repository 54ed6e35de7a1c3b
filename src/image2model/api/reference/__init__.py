"""The reference: what every address takes and answers, as one table, OpenAPI 3.1 and a page.

Who calls it: the routes of `/openapi.json` and `/docs`, and the generator of the pages in `docs/`. It
describes and serves nothing else; a test compares it with the table of routes.
"""
