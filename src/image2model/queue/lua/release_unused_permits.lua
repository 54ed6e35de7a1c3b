-- Frees the permits and look-ahead entries of images that need none: gone, final, or neither at FAL nor leased.
-- Every script releases what it took. This one repairs a store that lost an image: a permit that nobody frees is
-- capacity lost for good. Also removes images that no longer wait for an endpoint, and lists anew what FAL runs and what
-- waits there: processes of data version 2 did not. Returns how many permits and entries were freed.
local freed, at = 0, now_ms()
for _, model in ipairs(call('SMEMBERS', K.endpoints())) do
  for _, id in ipairs(call('ZRANGE', K.endpoint_waiting(model), 0, -1)) do
    if not awaits_endpoint(id) then remove_endpoint_waiter(id, model) end
  end
end
for _, model in ipairs(call('SMEMBERS', K.window_models())) do call('PEXPIRE', K.window_waiting(model), FLEET_TTL) end
local function status_of(id) return text(call('HGET', K.image(id), 'status')) end
for _, holders in ipairs({K.permits(), K.ahead()}) do
  for _, id in ipairs(call('ZRANGE', holders, 0, -1)) do
    local status = status_of(id)
    local needed = UNFINISHED[status] and status ~= 'storing'
      and (sent(id) or call('ZSCORE', K.leases(GENERATION), id))
    if not needed then freed = freed + call('ZREM', holders, id) end
  end
end
for status, holders in pairs({generating = K.fal_running(), submitted = K.fal_waiting()}) do
  for _, id in ipairs(call('ZRANGE', holders, 0, -1)) do
    if status_of(id) ~= status or not call('ZSCORE', K.permits(), id) then call('ZREM', holders, id) end
  end
  for _, id in ipairs(call('ZRANGE', K.permits(), 0, -1)) do
    if status_of(id) == status then call('ZADD', holders, 'NX', at, id) end
  end
  call('PEXPIRE', holders, FLEET_TTL)
end
for _, id in ipairs(call('HKEYS', K.fal_models())) do
  if not call('ZSCORE', K.permits(), id) and not call('ZSCORE', K.ahead(), id) then call('HDEL', K.fal_models(), id) end
end
for _, id in ipairs(call('ZRANGE', K.permits(), 0, -1)) do
  if data_version() < 6 and call('HEXISTS', K.fal_models(), id) == 0 then note_model(id) end
end
if freed > 0 then notify_queue(GENERATION) end
return freed
