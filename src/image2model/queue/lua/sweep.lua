-- Puts tasks whose lease has run out at the front. {queue, lease_ms, gap_ms, most_crashes} -> how many.
-- An image that was in a hazardous step (`hazard`) is a suspect from now on. The death of its worker counts against
-- it only where it ran alone; a picture with `most_crashes` such has failed.
-- If nobody swept for `gap_ms` the store was away, and every lease ran out through no fault of its
-- holder: nobody takes over for one lease.
local queue, lease, gap, most_crashes = unpack(cmsgpack.unpack(ARGV[1]))
local at, state = now_ms(), K.sweep(queue)
local head = call('HMGET', state, 'last', 'grace_until')
local grace = num(head[2])
if head[1] and at - num(head[1]) > gap then grace = at + lease end
call('HSET', state, 'last', at, 'grace_until', grace)
call('PEXPIRE', state, FLEET_TTL)
if at < grace then return 0 end

-- Whether the picture has failed.
local function suspect(id)
  local image = K.image(id)
  local hazard = text(call('HGET', image, 'hazard'))
  if hazard == '' then return false end
  call('HSET', image, 'hazard', '')
  count_up(id, 'hazard_deaths')
  if hazard ~= 'alone' then return false end
  local crashes = count_up(id, 'crashes')
  return crashes >= most_crashes and not sent(id) and move(id, 'failed', {'error', WORKER_CRASHED}, at)
end

local expired = call('ZRANGEBYSCORE', K.leases(queue), '-inf', at, 'LIMIT', 0, 1000)
for _, id in ipairs(expired) do
  call('ZREM', K.leases(queue), id)
  call('DEL', ARQ_IN_PROGRESS .. id)
  local score = at
  local failed = queue == GENERATION and suspect(id)
  if queue == GENERATION and not failed then
    score = FRONT_RUNNING
    if not sent(id) then
      score = FRONT
      release_permit(id)
      if call('HGET', K.image(id), 'status') == 'preparing' then move(id, 'queued', {}, at) end
    end
  end
  if not failed and call('EXISTS', ARQ_JOB .. id) == 1 then
    call('ZADD', ARQ_QUEUE .. queue, score, id)
  else
    call('ZREM', ARQ_QUEUE .. queue, id)
  end
end
if #expired > 0 then ring(queue) end
return #expired
