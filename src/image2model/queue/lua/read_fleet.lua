-- The state of the whole fleet at one moment. {queues, sample}
-- Returns {at, permits taken, {{queue, waiting, oldest_ms, {pause reasons}}}, {{worker id, row}},
-- {{model, opened_at, why, message, probe_at, images waiting}} for each endpoint with an open circuit, workers lost}.
-- Only due tasks count as waiting; the oldest is looked for among the next `sample` tasks of each priority.
local queues, sample = unpack(cmsgpack.unpack(ARGV[1]))
local at = now_ms()

-- When the task was queued, or nothing where it is gone.
local function queued_at(queue, id)
  if not has_arq_keys(queue) then
    local row = call('HMGET', K.image(id), 'enqueued_at', 'created_at')
    return tonumber(row[1] or row[2])
  end
  local job = call('GET', ARQ_JOB .. id)
  return job and cmsgpack.unpack(job)[3]
end

local function oldest_of(queue, from, last, oldest)
  for _, id in ipairs(call('ZRANGEBYSCORE', ARQ_QUEUE .. queue, from, last, 'LIMIT', 0, sample)) do
    oldest = math.max(oldest, at - (queued_at(queue, id) or at))
  end
  return oldest
end

local states, workers = {}, {}
for i, queue in ipairs(queues) do
  local zset = ARQ_QUEUE .. queue
  local last = queue == GENERATION and '(' .. AWAITING_CONFIRMATION or at
  local waiting = call('ZCOUNT', zset, '-inf', last)
  -- the age shows whether the fleet keeps up; an endpoint's trouble is reported separately
  if queue == GENERATION then last = '(' .. AWAITING_ENDPOINT end
  local oldest = 0
  if waiting > 0 then oldest = oldest_of(queue, LOW_PRIORITY, last, oldest_of(queue, '-inf', last, 0)) end
  states[i] = {queue, waiting, oldest, call('HKEYS', K.pause(queue))}
end
for _, id in ipairs(call('ZRANGE', K.workers(), 0, -1)) do
  local row = call('HMGET', K.worker(id), 'beat_at', 'host', 'pid', 'queues', 'running', 'slots', 'started_at')
  if row[1] then
    for i = 1, #row do row[i] = text(row[i]) end
    workers[#workers + 1] = {id, row}
  end
end
local endpoints = {}
for model in pairs(open_circuits()) do
  local row = call('HMGET', K.endpoint(model), 'opened_at', 'why', 'words', 'probe_at')
  endpoints[#endpoints + 1] =
    {model, num(row[1]), text(row[2]), text(row[3]), num(row[4]), call('ZCARD', K.endpoint_waiting(model))}
end
return cmsgpack.pack({at, call('ZCARD', K.permits()), states, workers, endpoints,
  num(call('HGET', K.losses(), 'count'))})
