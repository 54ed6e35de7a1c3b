"""The work of `image2model submit`: from paths to saved models, safe to interrupt and to run again.

A run in order: `collect` finds the pictures, `outputs` assigns each its output path, `plan` decides what to
do with it, `session` runs the batches with `send` and `save`, a board shows the progress, `summary` ends the
run. The `ledger` remembers what was sent. A failed picture must never be sent again unless `--retry-failed`
asks for that.
"""
