"""The commands: one file for each, with its click command under the name `command`."""
