"""Generates the pages of `docs/` from the code: settings, metrics, errors, and the HTTP interface."""
