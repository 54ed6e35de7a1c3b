"""Webhooks: those we send when a job ends, and those that FAL sends to us."""
