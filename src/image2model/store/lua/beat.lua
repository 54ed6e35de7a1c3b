-- A worker shows life. {worker_id, ttl_ms, {name, value, ...}}; a ttl of 0 takes it off the list.
local id, ttl, fields = unpack(cmsgpack.unpack(ARGV[1]))
local at = now_ms()
-- before the first beat is written: from a beat in a store without an id follows that 8adfc9c wrote it
store_head()
if ttl == 0 then
  call('ZREM', K.workers(), id)
  call('DEL', K.worker(id))
  return at
end
call('HSET', K.worker(id), 'beat_at', at, unpack(fields))
call('PEXPIRE', K.worker(id), ttl)
call('ZADD', K.workers(), at, id)
call('PEXPIRE', K.workers(), FLEET_TTL)
-- whoever has not been heard of for ten lives is forgotten
call('ZREMRANGEBYSCORE', K.workers(), '-inf', at - 10 * ttl)
return at
