"""Runs the whole service on one machine: embedded store, FAL emulator, workers and API as child processes.

`up` must never talk to FAL or hold a job's state: everything it runs is a process that could as well run
elsewhere. It imports the ground (settings, store connection) and `access` for the check of API keys, nothing
else.
"""
