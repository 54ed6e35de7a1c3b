-- Lets a worker refresh the catalogue now. {}. Returns when it was requested.
local at = now_ms()
call('HSET', K.catalogue(), 'requested_at', math.max(at, num(call('HGET', K.catalogue(), 'checked_at')) + 1))
call('PEXPIRE', K.catalogue(), FLEET_TTL)
call('PUBLISH', channel('catalogue'), 'requested')
return at
