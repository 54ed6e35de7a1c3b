"""For whoever runs the service: health, metrics, backup, dead letters, housekeeping."""
