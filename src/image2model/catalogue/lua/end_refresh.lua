-- Ends a refresh, and frees its lock. ARGV[1]: {token, version, error}; ARGV[2]: the copy's bytes. An `error` leaves the
-- copy as it is. Every process is told of a new version. Returns 1, or 0 where the lock is another's.
local token, version, error = unpack(cmsgpack.unpack(ARGV[1]))
if call('GET', K.lock('catalogue')) ~= token then return 0 end
call('DEL', K.lock('catalogue'))
local at = now_ms()
call('HSET', K.catalogue(), 'checked_at', at, 'error', error)
local changed = error == '' and text(call('HGET', K.catalogue(), 'version')) ~= version
if error == '' then call('HSET', K.catalogue(), 'updated_at', at) end
if changed then call('HSET', K.catalogue(), 'version', version, 'body', ARGV[2]) end
call('PEXPIRE', K.catalogue(), FLEET_TTL)
call('PUBLISH', channel('catalogue'), changed and 'changed' or 'checked')
return 1
