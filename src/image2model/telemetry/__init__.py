"""What a process tells of itself: logs and metrics. Who calls it: every layer. It knows none of them."""
