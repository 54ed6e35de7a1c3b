-- Frees the places of images that need none: gone, final, or neither at FAL nor held by a worker. Every script
-- gives back what it took; this is for a store that lost an image, for a place that nobody frees is capacity
-- lost for good. Returns how many. Also forgets who waits for an endpoint no longer.
local freed = 0
for _, model in ipairs(call('SMEMBERS', K.endpoints())) do
  for _, id in ipairs(call('ZRANGE', K.endpoint_waiting(model), 0, -1)) do
    if not waits_for_endpoint(id) then leave_endpoint(id, model) end
  end
end
for _, places in ipairs({K.permits(), K.ahead()}) do
  for _, id in ipairs(call('ZRANGE', places, 0, -1)) do
    local status = text(call('HGET', K.image(id), 'status'))
    local needed = UNFINISHED[status] and status ~= 'storing'
      and (sent(id) or call('ZSCORE', K.leases(GENERATION), id))
    if not needed then freed = freed + call('ZREM', places, id) end
  end
end
if freed > 0 then ring(GENERATION) end
return freed
