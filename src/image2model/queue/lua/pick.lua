-- Claims what this worker may start, in one step: the front first, then what waited for its time, then turns.
-- {queue, worker, free, reserve, lease_ms, max_permits, look_ahead, own_look_ahead}
-- `free`: tasks it may start; `reserve`: images at FAL that it may follow besides. Returns {{id, token, score}, ...}.
local queue, worker, free, reserve, lease, max_permits, look_ahead, own_look_ahead = unpack(cmsgpack.unpack(ARGV[1]))
local zset, at, picked = ARQ_QUEUE .. queue, now_ms(), {}
local trial = false
local MOST_LOOKED_AT = 200
local TRIAL_WITHIN = 60000

local function claim(id, score)
  if call('EXISTS', ARQ_IN_PROGRESS .. id) == 1 then return end
  local token = worker .. ':' .. call('INCR', K.claims())
  call('PEXPIRE', K.claims(), FLEET_TTL)
  call('SET', ARQ_IN_PROGRESS .. id, token, 'PX', lease)
  call('ZADD', zset, RUNNING, id)
  call('ZADD', K.leases(queue), at + lease, id)
  -- 8adfc9c counts crashes by the first two, and sweeps without a look at the third; absent, they mean nothing
  if queue == GENERATION then call('HDEL', K.image(id), 'pickups', 'fetches', 'hazard') end
  -- ARQ cannot run what has lost its job key
  if queue == GENERATION and call('EXISTS', ARQ_JOB .. id) == 0 then
    enqueue(queue, id, 'generate_model', id, RUNNING, at)
  end
  picked[#picked + 1] = {id, token, score}
  return token
end

local function is_waiting(id)
  local status = call('HGET', K.image(id), 'status')
  if status and not FINISHED[status] then return true end
  dequeue(queue, id)
  return false
end

local function follow(id, score)
  if not is_waiting(id) then return end
  local token = claim(id, score)
  if token then call('HSET', K.image(id), 'fence', token) end
end

-- From the places of images at FAL. One that is there no more has to start like any other.
local function follow_sent(id, score)
  if sent(id) then return follow(id, score) end
  call('ZADD', zset, FRONT, id)
end

local function start(id, score)
  if not is_waiting(id) then return end
  if sent(id) then return follow(id, score) end
  local digest, refused = text(call('HGET', K.image(id), 'digest')), refused_by(id)
  local source
  if refused then
    -- another's result needs no endpoint; a run that is not at FAL yet waits just as this image does
    local leader, status = leader_of(digest, id)
    if status == 'succeeded' then
      source = leader
    elseif status and UNFINISHED[status] and sent(leader) then
      source = 'wait'
    else
      return wait_for_endpoint(id, refused, score, at)
    end
  else
    source = digest ~= '' and reuse_source(digest, id)
  end
  if source == 'wait' then return park(id, digest) end
  call('HSET', K.image(id), 'reuse_of', source or '')
  if source then return follow(id, score) end
  local token = claim(id, score)
  if not token then return end
  free = free - 1
  call('ZADD', K.ahead(), at, id)
  move(id, 'preparing', {'fence', token, 'started_at', at}, at)
end

local function take(from, to, limit, claim_one)
  if limit <= 0 then return 0 end
  local found = call('ZRANGEBYSCORE', zset, from, to, 'WITHSCORES', 'LIMIT', 0, limit)
  for i = 1, #found, 2 do claim_one(found[i], tonumber(found[i + 1])) end
  return #found / 2
end

-- The turn that the fleet has come to: a newcomer's first picture goes right behind it.
local function advance_turn(score)
  local turn = score - (score >= LOW_TURN and LOW_TURN or FIRST_TURN)
  if turn > num(call('GET', K.turn())) then call('SET', K.turn(), turn, 'PX', FLEET_TTL) end
end

-- Once every permit is taken, pictures are prepared a little ahead of those that come free, so that these
-- never wait for them. While one is free this worker takes no more than it may submit: another has room.
-- Ahead it takes its own share only: pictures that one worker piles up wait for its cores while others idle.
local function room()
  -- half open: one image tries whether FAL takes it again
  if trial then return free end
  local placed = call('ZCARD', K.permits()) + call('ZCARD', K.ahead())
  if placed < max_permits then return math.min(free, max_permits - placed) end
  return math.min(free + own_look_ahead, max_permits + look_ahead - placed)
end

-- What cannot start (it is parked, or final by now) keeps back nothing that can: further until something is claimed,
-- or enough was looked at for one call.
local function fill(from, to)
  local looked, before = 0, #picked
  repeat
    local found = take(from, to, room(), start)
    looked = looked + found
  until found == 0 or #picked > before or looked >= MOST_LOOKED_AT
  -- behind so many that wait for their endpoint there may be some that need not
  if looked >= MOST_LOOKED_AT and #picked == before then ring(queue) end
end

-- A pause that only two endpoints together have shown lets the others' images try, one after the other.
local function may_try_another()
  if not paused_by_endpoints() then return false end
  local trial_image = call('HGET', K.circuit(), 'trial_image')
  return not trial_image or not call('ZSCORE', K.leases(queue), trial_image)
end

-- Where nothing else waits, an image that waits for its endpoint tries for all.
local function try_an_endpoint()
  for model in pairs(refusing()) do
    local id = probe_next(model, at, TRIAL_WITHIN)
    if id then return start(id, FRONT) end
  end
end

if queue ~= GENERATION then
  if not queue_paused(queue) then take('-inf', at, free, claim) end
  return cmsgpack.pack(picked)
end
take(FOLLOW_AT, FOLLOW_AT + at, reserve, follow_sent)
take(FRONT_RUNNING, FRONT_RUNNING, reserve - #picked, follow_sent)
local paused = queue_paused(queue)
local by_hand = call('HEXISTS', K.pause(queue), 'paused') == 1
local allowed = paused and not by_hand and free > 0 and call('HDEL', K.circuit(), 'trial') == 1
trial = allowed or (paused and not by_hand and free > 0 and may_try_another())
if trial then free = 1 end
if trial or not paused then
  fill(FRONT, FRONT)
  fill(CLOCK, at)
  local before = #picked
  fill(FIRST_TURN, '(' .. CLOCK)
  if #picked > before then advance_turn(picked[#picked][3]) end
  if allowed and free == 1 then try_an_endpoint() end
  call('PEXPIRE', K.ahead(), FLEET_TTL)
  if trial and free == 0 then
    call('HSET', K.circuit(), 'tried', 1, 'trial_image', picked[#picked][1])
  elseif allowed then
    call('HSET', K.circuit(), 'trial', 1)
  end
end
return cmsgpack.pack(picked)
