-- Claims what this worker may start, in one step: images at FAL first, then those that start next, then tasks that are
-- due, then images in the fair order.
-- {queue, claim, free, reserve, lease_ms, max_permits, look_ahead, own_look_ahead, concurrency, poll_ms, idle_ms,
-- waiter, registered_ms}, see `window_of`. `claim`: names this call alone, and begins the tokens of its leases; `free`:
-- tasks it may start; `reserve`: images at FAL that it may follow besides; `waiter`: the worker's id where it is woken if
-- nothing is claimed now, for `registered_ms`, else ''.
-- Returns {{{id, token, score, function, argument}, ...}, wait_ms}: the worker looks again after `wait_ms`, which is
-- `idle_ms` in a queue in which nothing waits, the time to the next task that is due in the other queues, and 0 if tasks
-- were claimed and there may be more for it.
local queue, call_id, free, reserve, lease, max_permits, look_ahead, own_look_ahead, concurrency, poll, idle,
  waiter, registered = unpack(cmsgpack.unpack(ARGV[1]))
local zset, picked = ARQ_QUEUE .. queue, {}
local may_be_more = false

-- In one step with the look into the queue, so that whoever queues a task finds the worker.
local function register()
  if #picked > 0 or waiter == '' then return end
  local workers, at = K.idle_workers(queue), now_ms()
  call('ZREMRANGEBYSCORE', workers, '-inf', at - registered)
  call('ZADD', workers, at, waiter)
  call('PEXPIRE', workers, registered)
end

local function reply(wait_ms)
  register()
  return cmsgpack.pack({picked, #picked > 0 and may_be_more and 0 or wait_ms})
end

-- most calls of a service that has nothing to do end here
local first = call('ZRANGE', zset, 0, 0, 'WITHSCORES')
if not first[1] or tonumber(first[2]) >= RUNNING then return reply(idle) end
local at = now_ms()
local trial = false
local MAX_EXAMINED = 200
local TRIAL_WITHIN = 60000
-- The place in the fair order of images that waited for a time, and of one of low priority whose turn it is.
local DUE_TURN, LOW_TURN = START_NEXT + 1, START_NEXT + 2
-- The window, how many images of each endpoint with a limit are prepared or at FAL, and how many in all.
local window, counts, used
local place
-- What is claimed, and what is being prepared, until it is written.
local running, leased, prepared = {}, {}, {}

local keeps_arq_keys

-- Whether nobody else holds the task.
local function lock(id, token)
  if keeps_arq_keys == nil then keeps_arq_keys = has_arq_keys(queue) end
  if keeps_arq_keys then return call('SET', ARQ_IN_PROGRESS .. id, token, 'NX', 'PX', lease) end
  return text(call('HGET', K.image(id), 'fence')) == '' or not is_leased(id, at)
end

-- What the task is: a function and its argument.
local function task_of(id)
  if not keeps_arq_keys then return 'generate_model', id end
  local job = call('GET', ARQ_JOB .. id)
  if job then return unpack(cmsgpack.unpack(job)) end
  if queue ~= GENERATION then return '', '' end
  enqueue(queue, id, 'generate_model', id, RUNNING, at)
  return 'generate_model', id
end

local function claim(id, score)
  local token = call_id .. ':' .. #picked
  if not lock(id, token) then return end
  running[#running + 1] = RUNNING
  running[#running + 1] = id
  leased[#leased + 1] = at + lease
  leased[#leased + 1] = id
  if queue == GENERATION then
    -- 8adfc9c counts crashes by these, and without them counts nothing
    call('HDEL', K.image(id), 'pickups', 'fetches')
    if text(call('HGET', K.image(id), 'hazard')) ~= '' then call('HSET', K.image(id), 'hazard', '') end
  end
  local fn, argument = task_of(id)
  picked[#picked + 1] = {id, token, score, fn, argument}
  return token
end

-- Whether the image is unfinished; a finished one leaves the queue.
local function check_unfinished(id)
  local status = call('HGET', K.image(id), 'status')
  if status and not FINISHED[status] then return true end
  dequeue(queue, id)
  return false
end

-- Writes what was claimed, a call for each set.
local function write_claims()
  if #running > 0 then
    call('ZADD', zset, unpack(running))
    call('ZADD', K.leases(queue), unpack(leased))
  end
  if #prepared > 0 then
    call('ZADD', K.ahead(), unpack(prepared))
    call('PEXPIRE', K.ahead(), FLEET_TTL)
  end
  running, leased, prepared = {}, {}, {}
end

local function follow(id, score)
  buffer_image(id)
  if not check_unfinished(id) then return end
  local token = claim(id, score)
  if not token then return end
  call('HSET', K.image(id), 'fence', token)
  if call('HGET', K.image(id), 'status') == 'storing' then call('HSET', K.image(id), 'hazard', hazard_of(id)) end
end

-- For images with the scores of those at FAL. One that FAL does not have any more has to start like any other.
local function follow_sent(id, score)
  if sent(id) then return follow(id, score) end
  call('ZADD', zset, START_NEXT, id)
end

local function start(id, score)
  buffer_image(id)
  if not check_unfinished(id) then return end
  if sent(id) then return follow(id, score) end
  local row = call('HMGET', K.image(id), 'digest', 'phase', 'main_digest')
  local digest, blocked_by = text(row[1]), blocking_endpoint(id)
  local source
  if text(row[2]) ~= '' then
    -- nothing is cut out for a model that exists
    local leader, status = leader_of(text(row[3]), id)
    if status == 'succeeded' then
      stop_leading(id, digest)
      call('HSET', K.image(id), 'reuse_of', leader, 'reuse_main', 1)
      return follow(id, score)
    end
    source = cutout_source(digest)
  end
  if source then
    -- its cut-out is copied
  elseif blocked_by then
    -- reusing a result needs no endpoint; a run that is not at FAL yet is blocked just as this image is
    local leader, status = leader_of(digest, id)
    if status == 'succeeded' then
      source = leader
    elseif status and UNFINISHED[status] and sent(leader) then
      source = 'wait'
    else
      return await_endpoint(id, blocked_by, score, at)
    end
  else
    source = digest ~= '' and reuse_source(digest, id)
  end
  if source == 'wait' then return await_reuse(id, digest) end
  if text(call('HGET', K.image(id), 'reuse_of')) ~= (source or '') then
    call('HSET', K.image(id), 'reuse_of', source or '')
  end
  if text(row[2]) ~= '' then call('HSET', K.image(id), 'reuse_main', '') end
  if source then return follow(id, score) end
  local model = next(window.limits) and model_of(id)
  local most = model and window.limits[model]
  -- one more than it runs waits at FAL, and one is prepared
  if most and (counts[model] or 0) >= most + 2 then return await_window(id, model, score) end
  local token = claim(id, score)
  if not token then return end
  free, used = free - 1, used and used + 1
  if most then counts[model] = (counts[model] or 0) + 1 end
  prepared[#prepared + 1] = place or (score >= DUE_AT and DUE_TURN) or score
  prepared[#prepared + 1] = id
  note_model(id)
  move(id, 'preparing', {'fence', token, 'started_at', at, 'hazard', hazard_of(id)}, at)
end

local function take(from, to, limit, claim_one)
  if limit <= 0 then return 0 end
  local found = call('ZRANGEBYSCORE', zset, from, to, 'WITHSCORES', 'LIMIT', 0, limit)
  local before = #picked
  for i = 1, #found, 2 do claim_one(found[i], tonumber(found[i + 1])) end
  write_claims()
  -- another call may take what comes behind those that could not be claimed, or prepare images besides
  may_be_more = may_be_more or #found / 2 == limit or #picked - before < #found / 2
  return #found / 2
end

-- How many images this worker may start now. While permits are free it starts no more than it may submit, since another
-- worker may have free slots. Once all permits are taken, images are prepared ahead of them (the look-ahead), so that a
-- permit that comes free is used at once. Each worker prepares only its own share: images that pile up at one worker
-- wait for its cores while others idle. `more`: for images that come before some that are prepared already.
local function capacity(more)
  -- half open: one image tests whether FAL accepts again
  if trial then return free end
  used = used or call('ZCARD', K.permits()) + call('ZCARD', K.ahead())
  local of_window = used - excess(window.limits, counts)
  if of_window < window.target then return math.min(free, window.target - of_window) end
  more = more or 0
  return math.min(free + own_look_ahead + more, window.target + look_ahead + more - of_window)
end

-- Starts images of these scores. Images that turn out to be blocked or final do not hold up those behind them: it
-- goes on until something is claimed, or enough were examined for one call.
local function fill(from, to, more)
  local examined, before = 0, #picked
  repeat
    local found = take(from, to, capacity(more), start)
    examined = examined + found
  until found == 0 or #picked > before or examined >= MAX_EXAMINED
  -- behind so many images that wait for their endpoint there may be some that can start
  if examined >= MAX_EXAMINED and #picked == before then notify_queue(queue) end
end

-- Prepares images that come before some that are prepared already, although enough are: permits are given in the fair
-- order, so those of an owner who has just come must not wait until there is room.
local function fill_earlier()
  local last = call('ZRANGE', K.ahead(), -1, -1, 'WITHSCORES')
  if last[2] and not trial and capacity() <= 0 then
    fill(NORMAL_PRIORITY, '(' .. math.min(tonumber(last[2]), DUE_AT), look_ahead)
  end
end

-- An image of low priority is due: so many of normal priority have gone before one.
local function fill_low()
  if not low_priority_is_due() or call('ZCOUNT', K.ahead(), LOW_TURN, LOW_TURN) > 0 then return end
  place = LOW_TURN
  take(LOW_PRIORITY, '(' .. DUE_AT, math.min(capacity(), 1), start)
  place = nil
end

-- A pause that was only inferred from two failing endpoints lets images of other endpoints try, one after the other.
local function may_try_another()
  if not paused_by_endpoints() then return false end
  local trial_image = call('HGET', K.circuit(), 'trial_image')
  return not trial_image or not call('ZSCORE', K.leases(queue), trial_image)
end

-- Where nothing else waits, an image that waits for its endpoint is the trial.
local function try_an_endpoint()
  for model in pairs(open_circuits()) do
    local id = probe_next(model, at, TRIAL_WITHIN)
    if id then
      start(id, START_NEXT)
      return write_claims()
    end
  end
end

if queue ~= GENERATION then
  local due = tonumber(first[2])
  if due > at then return reply(math.min(due - at, idle)) end
  if not queue_paused(queue) then take('-inf', at, free, claim) end
  if #picked >= free then wake_workers(queue) end
  return reply(poll)
end
local first_score = tonumber(first[2])
if first_score < FOLLOW_NOW then take(FOLLOW_AT, FOLLOW_AT + at, reserve, follow_sent) end
if first_score <= FOLLOW_NOW then take(FOLLOW_NOW, FOLLOW_NOW, reserve - #picked, follow_sent) end
local calm = is_calm()
window = window_of(concurrency, max_permits, calm)
if window.target < max_permits then look_ahead = math.min(look_ahead, math.floor(window.target / 4) + 4) end
counts = count_limited(window.limits, K.permits(), K.ahead())
local paused = not calm and queue_paused(queue)
local operator_pause = paused and call('HEXISTS', K.pause(queue), 'paused') == 1
local allowed = paused and not operator_pause and free > 0 and call('HDEL', K.circuit(), 'trial') == 1
trial = allowed or (paused and not operator_pause and free > 0 and may_try_another())
if trial then free = 1 end
if trial or not paused then
  if first_score <= START_NEXT then fill(START_NEXT, START_NEXT) end
  fill(DUE_AT, at)
  fill_low()
  fill(NORMAL_PRIORITY, '(' .. DUE_AT)
  fill_earlier()
  if allowed and free == 1 then try_an_endpoint() end
  if trial and free == 0 then
    call('HSET', K.circuit(), 'tried', 1, 'trial_image', picked[#picked][1])
  elseif allowed then
    call('HSET', K.circuit(), 'trial', 1)
  end
end
if free <= 0 then
  -- this worker is full, and perhaps the only one that was notified
  local rest = call('ZRANGE', zset, 0, 0, 'WITHSCORES')
  if rest[2] and tonumber(rest[2]) < AWAITING_REUSE then wake_workers(queue) end
end
return reply(poll)
