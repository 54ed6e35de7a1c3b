-- From now on the names of all keys are changed, and no process can connect (naming.py), unless one runs:
-- {reader_ttl_ms, version}; `version`: see `BEYOND_PLAIN`. The present one stays in `data_version` until the end.
-- Returns how many processes run, those of 8adfc9c too.
local reader_ttl, version = unpack(cmsgpack.unpack(ARGV[1]))
call('ZREMRANGEBYSCORE', K.readers(), '-inf', now_ms() - reader_ttl)
local running = call('ZCARD', K.readers()) + old_workers()
if running == 0 and call('HEXISTS', K.store(), 'tagged') == 0 then
  call('HSET', K.store(), 'tagged', 0, 'version', version, 'data_version', call('HGET', K.store(), 'version'))
end
return running
