"""What a process reports about itself: logs, metrics and traces.

This package imports nothing else of the service, and every other package may use it. No log line, label or
attribute may contain a secret.
"""
