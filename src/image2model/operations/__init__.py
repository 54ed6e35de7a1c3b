"""What operators need: health, metrics, statistics, dead letters, backup, restore, and maintenance tasks.

The reconciler and housekeeping run as tasks of the queue `maintenance`. This package may import every other
concept, and none of them imports it. Nothing here submits an image to FAL: a replay only queues it.
"""
