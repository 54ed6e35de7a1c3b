-- Says that the names of a new store have tags (naming.py). KEYS[1] is the store's `ROOT`; {version}: see `BEYOND_PLAIN`.
-- Returns whether it says so: another process may have begun the store with plain names.
local version = unpack(cmsgpack.unpack(ARGV[1]))
if call('EXISTS', KEYS[1]) == 0 then call('HSET', KEYS[1], 'version', version, 'tagged', 1) end
return call('HEXISTS', KEYS[1], 'tagged')
