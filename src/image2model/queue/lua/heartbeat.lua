-- Stores a worker's heartbeat. {worker_id, ttl_ms, {name, value, ...}}; a TTL of 0 takes the worker off the list.
-- Returns {lost, alive}: the workers without a heartbeat for two TTLs that did not sign off, each counted once, and how
-- many there are.
local id, ttl, fields = unpack(cmsgpack.unpack(ARGV[1]))
local at = now_ms()
-- before the first heartbeat is written: in a store without an id, a heartbeat means that 8adfc9c wrote it
store_identity()
if ttl == 0 then
  call('ZREM', K.workers(), id)
  call('DEL', K.worker(id))
  return cmsgpack.pack({{}, 0})
end

-- No worker could send a heartbeat for one TTL: the store was away, and each gets time to send one first.
local losses = K.losses()
local last = call('ZRANGE', K.workers(), -1, -1, 'WITHSCORES')
if last[2] and at - tonumber(last[2]) > ttl then call('HSET', losses, 'grace_until', at + 2 * ttl) end
local lost = {}
if at >= num(call('HGET', losses, 'grace_until')) then
  lost = call('ZRANGEBYSCORE', K.workers(), '-inf', at - 2 * ttl)
  for _, gone in ipairs(lost) do call('ZREM', K.workers(), gone) end
  if #lost > 0 then call('HINCRBY', losses, 'count', #lost) end
end
call('PEXPIRE', losses, FLEET_TTL)
call('HSET', K.worker(id), 'beat_at', at, unpack(fields))
call('PEXPIRE', K.worker(id), ttl)
call('ZADD', K.workers(), at, id)
call('PEXPIRE', K.workers(), FLEET_TTL)
return cmsgpack.pack({lost, call('ZCARD', K.workers())})
