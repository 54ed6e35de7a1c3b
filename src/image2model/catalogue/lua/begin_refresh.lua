-- Takes the lock of the catalogue's refresh if one is due: requested since FAL was last asked, `every` ms after a
-- success, or `retry` ms after a failure. {token, every, retry, lock_ms}. Returns whether the caller may refresh.
local token, every, retry, lock_ms = unpack(cmsgpack.unpack(ARGV[1]))
local row, at = call('HMGET', K.catalogue(), 'checked_at', 'requested_at', 'error'), now_ms()
local since = at - num(row[1])
local due = since >= (text(row[3]) == '' and every or retry) or num(row[2]) > num(row[1]) or since < 0
if not due then return 0 end
return call('SET', K.lock('catalogue'), token, 'NX', 'PX', lock_ms) and 1 or 0
