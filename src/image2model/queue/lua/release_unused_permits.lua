-- Frees the permits and look-ahead entries of images that need none: gone, final, or neither at FAL nor leased.
-- Every script releases what it took. This one repairs a store that lost an image: a permit that nobody frees is
-- capacity lost for good. Also removes images that no longer wait for an endpoint. Returns how many were freed.
local freed = 0
for _, model in ipairs(call('SMEMBERS', K.endpoints())) do
  for _, id in ipairs(call('ZRANGE', K.endpoint_waiting(model), 0, -1)) do
    if not awaits_endpoint(id) then remove_endpoint_waiter(id, model) end
  end
end
for _, holders in ipairs({K.permits(), K.ahead()}) do
  for _, id in ipairs(call('ZRANGE', holders, 0, -1)) do
    local status = text(call('HGET', K.image(id), 'status'))
    local needed = UNFINISHED[status] and status ~= 'storing'
      and (sent(id) or call('ZSCORE', K.leases(GENERATION), id))
    if not needed then freed = freed + call('ZREM', holders, id) end
  end
end
if freed > 0 then notify_queue(GENERATION) end
return freed
