"""One file to a command, each with its click command under the name `command`.

Who calls it: the group, by name.
"""
