-- Puts tasks whose lease has expired back into the queue, images before all others.
-- {queue, lease_ms, gap_ms, most_crashes} -> how many.
-- An image that was in a hazardous step (`hazard`) is a suspect from now on. The death of its worker counts against
-- it only where it ran alone; an image with `most_crashes` such deaths fails.
-- If no worker swept for `gap_ms` the store was away, and leases expired through no fault of their holders: nobody
-- takes over for the length of one lease.
local queue, lease, gap, most_crashes = unpack(cmsgpack.unpack(ARGV[1]))
local at, state = now_ms(), K.sweep(queue)
local row = call('HMGET', state, 'last', 'grace_until')
local grace = num(row[2])
if row[1] and at - num(row[1]) > gap then grace = at + lease end
call('HSET', state, 'last', at, 'grace_until', grace)
call('PEXPIRE', state, FLEET_TTL)
if at < grace then return 0 end

-- Whether the image has failed.
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

-- Whether there is something to run.
local function is_known(id)
  if has_arq_keys(queue) then return call('EXISTS', ARQ_JOB .. id) == 1 end
  return UNFINISHED[text(call('HGET', K.image(id), 'status'))]
end

local expired = call('ZRANGEBYSCORE', K.leases(queue), '-inf', at, 'LIMIT', 0, 1000)
for _, id in ipairs(expired) do
  call('ZREM', K.leases(queue), id)
  if has_arq_keys(queue) then call('DEL', ARQ_IN_PROGRESS .. id) end
  local score = at
  local failed = queue == GENERATION and suspect(id)
  if queue == GENERATION and not failed then
    score = FOLLOW_NOW
    if not sent(id) then
      score = START_NEXT
      release_permit(id)
      if call('HGET', K.image(id), 'status') == 'preparing' then move(id, 'queued', {}, at) end
    end
  end
  if not failed and is_known(id) then
    call('ZADD', ARQ_QUEUE .. queue, score, id)
  else
    call('ZREM', ARQ_QUEUE .. queue, id)
  end
end
if #expired > 0 then notify_queue(queue) end
return #expired
