-- The state of the whole fleet as of one moment: {at, permits, {{queue, waiting, oldest_ms, {pause reasons}}}, {{worker row}},
-- {{model, opened_at, why, words, probe_at, images that wait}}, workers lost so far}; the circuits of those endpoints
-- are open.
-- {queues, sample}: only what is due counts as waiting; the oldest is looked for among the next `sample` tasks of either priority.
local queues, sample = unpack(cmsgpack.unpack(ARGV[1]))
local at = now_ms()

local function oldest_of(zset, from, last, oldest)
  for _, id in ipairs(call('ZRANGEBYSCORE', zset, from, last, 'LIMIT', 0, sample)) do
    local job = call('GET', ARQ_JOB .. id)
    if job then oldest = math.max(oldest, at - cmsgpack.unpack(job)[3]) end
  end
  return oldest
end

local states, workers = {}, {}
for i, queue in ipairs(queues) do
  local zset = ARQ_QUEUE .. queue
  local last = queue == GENERATION and '(' .. RUNNING or at
  local waiting = call('ZCOUNT', zset, '-inf', last)
  -- an endpoint's trouble is told apart: the age says whether the fleet keeps up
  if queue == GENERATION then last = '(' .. AT_ENDPOINT end
  local oldest = 0
  if waiting > 0 then oldest = oldest_of(zset, LOW_TURN, last, oldest_of(zset, '-inf', last, 0)) end
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
for model in pairs(refusing()) do
  local row = call('HMGET', K.endpoint(model), 'opened_at', 'why', 'words', 'probe_at')
  endpoints[#endpoints + 1] =
    {model, num(row[1]), text(row[2]), text(row[3]), num(row[4]), call('ZCARD', K.endpoint_waiting(model))}
end
return cmsgpack.pack({at, call('ZCARD', K.permits()), states, workers, endpoints,
  num(call('HGET', K.losses(), 'count'))})
