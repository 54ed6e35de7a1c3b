-- Claims the next probe of FAL. Returns 1 when the caller should probe now; nobody else may for one gap.
local at, circuit = now_ms(), K.circuit()
local pause = call('HMGET', K.pause(GENERATION), 'account', 'fal')
if not pause[1] and not pause[2] then return 0 end
local probe = call('HMGET', circuit, 'probe_at', 'probe_gap')
if at < num(probe[1]) then return 0 end
call('HSET', circuit, 'probe_at', at + math.max(num(probe[2]), 1000))
call('PEXPIRE', circuit, FLEET_TTL)
return 1
