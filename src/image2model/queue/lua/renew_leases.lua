-- Renews the leases of one worker. {queue, lease_ms, {{id, token}, ...}} -> {lost ids, ids to cancel}
local queue, lease, held = unpack(cmsgpack.unpack(ARGV[1]))
local at, lost, cancelled = now_ms(), {}, {}
for _, pair in ipairs(held) do
  local id, token = pair[1], pair[2]
  local owner = call('GET', ARQ_IN_PROGRESS .. id)
  -- an expired lease that no other worker has taken is still ours
  local ours = owner == token or (not owner and (queue ~= GENERATION or holds_fence(id, token)))
  if ours and call('EXISTS', ARQ_JOB .. id) == 1 then
    call('SET', ARQ_IN_PROGRESS .. id, token, 'PX', lease)
    call('ZADD', K.leases(queue), at + lease, id)
    call('ZADD', ARQ_QUEUE .. queue, RUNNING, id)
    if queue == GENERATION and text(call('HGET', K.image(id), 'cancel_requested')) == '1' then
      cancelled[#cancelled + 1] = id
    end
  else
    local status = queue == GENERATION and call('HGET', K.image(id), 'status')
    -- an image that its holder has just finished is not lost
    if status ~= 'succeeded' and status ~= 'failed' then lost[#lost + 1] = id end
  end
end
return cmsgpack.pack({lost, cancelled})
