-- Fails images whose prepared pictures nobody has confirmed in time. {error, limit} -> {{image_id, model}, ...}
local error, limit = unpack(cmsgpack.unpack(ARGV[1]))
local at, failed = now_ms(), {}
for _, id in ipairs(call('ZRANGEBYSCORE', K.confirmations(), '-inf', at, 'LIMIT', 0, limit)) do
  call('ZREM', K.confirmations(), id)
  local waits = tonumber(call('ZSCORE', ARQ_QUEUE .. GENERATION, id)) == AWAITING_CONFIRMATION
  local model = text(model_of(id))
  if waits and move(id, 'failed', {'error', error}, at) then failed[#failed + 1] = {id, model} end
end
return cmsgpack.pack(failed)
