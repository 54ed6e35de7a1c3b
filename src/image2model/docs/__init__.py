"""The pages of `docs/` that are made from the code: settings, metrics, errors, and the interface.

Who calls it: `python -m image2model.docs`, and `make check` with `--check`. Nothing of the service does.
"""
