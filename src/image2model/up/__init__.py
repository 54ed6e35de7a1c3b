"""The one-machine supervisor: embedded store, emulator, workers and API as child processes.

Who calls it: `image2model up`; tests use its embedded store. It must never talk to FAL or hold a job's
state: everything it runs is a process that could as well run elsewhere.
"""
