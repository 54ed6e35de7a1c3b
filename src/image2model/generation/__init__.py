"""One image, from `queued` to its end: prepare, submit, follow, collect, and book what it cost.

This package alone makes the call that costs money. It imports `jobs`, `queue` and what lies below them. What
must never happen here: a second POST for an attempt that FAL may already have, a paid result that is thrown
away for a fault of ours, a cost that is not booked.

The way of an image: `generate` → `submit` → `follow` → `collect` → `costs`.
"""
