"""The state in Redis or Valkey, mechanism only: connections, scripts, key names, rows, data versions.

Every change of state is one Lua script behind a typed function. The scripts of a concept are in its own
package; the library that they share is in `lua/`. Only `keys` spells our key names, only `arq_keys` ARQ's. It
imports settings, telemetry and the ground below. It holds no use case, and never talks to FAL or to the file
storage.
"""
