-- The window: how many requests FAL runs at once for this account, learned from what FAL reports, and kept at FAL with
-- a small look-ahead. Needs queue.lua. ARCHITECTURE.md, "The queue stays here", has the reasons.
--
-- `fal_running` and `fal_waiting` hold the images that FAL runs and that wait in its queue, by when that began;
-- `fal_models` names, up to data version 5, the endpoint of each image that is prepared, posted, or at FAL; `fal_ended` says when an
-- endpoint last ended one; `fal_endpoints` holds the limits of endpoints that have one of their own. `fal_window`:
--   limit, since, source    how many FAL runs at once, since when, and how we know: `learned` or `header`
--   ends                    ends since the limit was raised, or since FAL last ran nothing of ours
--   round_at, peak          the most that ran at once since `round_at`, half a second ago or less
--   before_at, peak_before  the same of the round before
--   full                    a request was seen to wait since the limit changed
--   over_at                 since when more run than the limit, where an end may not have been heard of yet
--   overtaken, overtaken_at an older request of another endpoint than one that started
--   foreign_at              when another program's requests were last seen before ours
--   header_at               when FAL last told its limit
--   low_debt                how many of normal priority were sent while one of low priority waited

local FIRST_LIMIT = 2
-- How long FAL has to start what may start, and how long a count must hold that a lost event could explain.
local SETTLE = 1000
local CONFIRM = 300
local ROUND = SETTLE / 2
-- How long after its last end an endpoint certainly has a runner.
local WARM_FOR = 5000
-- How long another program's requests are reckoned with after they were seen, and a limit that FAL told is believed.
local FOREIGN_FOR = 60000
local HEADER_FOR = 60000
-- How many of the oldest waiting requests are looked at.
local MAX_WAITING = 20

local function learned_limit()
  local limit = num(call('HGET', K.fal_window(), 'limit'))
  return limit > 0 and limit or FIRST_LIMIT
end

local function window_look_ahead(limit) return math.max(1, math.floor(limit / 10)) end

-- {limit, target, limits}: `target` is how many images of ours may be at FAL; `limits` are those of endpoints, by model.
-- `concurrency` is {what the operator has set, or 0; the same for endpoints}. While processes of data version 2 are
-- left, which know no window, there is none. `calm`: see `is_calm`.
local function window_of(concurrency, max_permits, calm)
  if data_version() < 3 then return {limit = max_permits, target = max_permits, limits = {}} end
  local limit = concurrency[1] > 0 and concurrency[1] or learned_limit()
  local limits, learned = {}, calm and {} or call('HGETALL', K.fal_endpoints())
  for i = 1, #learned, 2 do limits[learned[i]] = tonumber(learned[i + 1]) end
  for model, most in pairs(concurrency[2]) do limits[model] = most end
  return {limit = limit, target = math.min(max_permits, limit + window_look_ahead(limit)), limits = limits}
end

-- The endpoints of images that are prepared, posted, or at FAL, in their order; false where none is known.
local function endpoints_of(ids)
  if #ids == 0 then return {} end
  if data_version() < 6 then return call('HMGET', K.fal_models(), unpack(ids)) end
  local models, of_jobs = {}, {}
  for i, id in ipairs(ids) do
    local row = call('HMGET', K.image(id), 'job_id', 'phase_model')
    local job_id = row[1]
    if job_id and text(row[2]) == '' and of_jobs[job_id] == nil then
      of_jobs[job_id] = call('HGET', K.job(job_id), 'model')
    end
    models[i] = text(row[2]) ~= '' and row[2] or of_jobs[job_id] or false
  end
  return models
end

local function endpoint_of(image_id) return endpoints_of({image_id})[1] end

-- How many of these images are of each endpoint.
local function count_models(ids)
  local counts = {}
  for _, model in ipairs(endpoints_of(ids)) do
    if model then counts[model] = (counts[model] or 0) + 1 end
  end
  return counts
end

-- How many of these images are of each endpoint that has a limit.
local function count_limited(limits, ...)
  local counts = {}
  if not next(limits) then return counts end
  for _, holders in ipairs({...}) do
    for model, count in pairs(count_models(call('ZRANGE', holders, 0, -1))) do
      counts[model] = (counts[model] or 0) + count
    end
  end
  return counts
end

-- How many images are more than their endpoint runs: they do not use the account's window.
local function excess(limits, counts)
  local sum = 0
  for model, most in pairs(limits) do sum = sum + math.max(0, (counts[model] or 0) - most) end
  return sum
end

-- What starts and the clock read of the window.
local WINDOW_FIELDS = {'limit', 'source', 'ends', 'round_at', 'peak', 'before_at', 'peak_before', 'full', 'over_at',
  'overtaken', 'overtaken_at', 'foreign_at', 'header_at'}

-- Up to data version 5 a hash of its own names the endpoints.
local function note_model(image_id)
  if data_version() >= 6 then return end
  call('HSET', K.fal_models(), image_id, text(model_of(image_id)))
  call('PEXPIRE', K.fal_models(), FLEET_TTL)
end

-- The image waits for its endpoint's window, out of sight of every pick. It keeps its place in the fair order.
local function await_window(image_id, model, score)
  local kept = score < DUE_AT and math.max(score, START_NEXT) or START_NEXT
  call('ZADD', ARQ_QUEUE .. GENERATION, AWAITING_WINDOW, image_id)
  call('ZADD', K.window_waiting(model), kept, image_id)
  call('PEXPIRE', K.window_waiting(model), FLEET_TTL)
  call('SADD', K.window_models(), model)
  call('PEXPIRE', K.window_models(), FLEET_TTL)
end

local function set_limit(limit, source, at)
  local before = learned_limit()
  local running = call('ZCARD', K.fal_running())
  call('HSET', K.fal_window(), 'limit', limit, 'since', at, 'source', source, 'round_at', at, 'peak', running,
    'before_at', at, 'peak_before', running)
  call('HDEL', K.fal_window(), 'over_at', 'full')
  call('PEXPIRE', K.fal_window(), FLEET_TTL)
  if limit > before then
    call('HSET', K.fal_window(), 'ends', 0)
    notify_queue(GENERATION)
  end
end

local function set_endpoint_limit(model, limit)
  call('HSET', K.fal_endpoints(), model, limit)
  call('PEXPIRE', K.fal_endpoints(), FLEET_TTL)
end

local cached_running

-- How many FAL runs of each endpoint. Read once in a script; each start and end clears the cache.
local function running_models()
  if not cached_running then cached_running = count_models(call('ZRANGE', K.fal_running(), 0, -1)) end
  return cached_running
end

-- Whether FAL would start this request if it could run more of the account: its endpoint has a runner, and runs fewer
-- than its own limit.
local function could_start(image_id, at)
  local model = endpoint_of(image_id)
  if not model then return false end
  local most = tonumber(call('HGET', K.fal_endpoints(), model))
  if not most and num(call('ZSCORE', K.fal_ended(), model)) > at - WARM_FOR then return true end
  local runs = running_models()[model] or 0
  if most and runs >= most then return false end
  return runs > 0 or num(call('ZSCORE', K.fal_ended(), model)) > at - WARM_FOR
end

-- How many requests of ours may be before one in FAL's queue that was accepted at this time. Those that were accepted
-- at nearly the same time may be queued in another order than we heard of.
local function ours_before(accepted_at)
  return call('ZCOUNT', K.fal_waiting(), '-inf', accepted_at + CONFIRM) - 1
end

-- The request of ours that FAL starts next, and when it was accepted; nothing if another program's is before it, or
-- may be. A position counts also those of ours that are held up by their endpoint.
local function next_to_start(at)
  local found = call('ZRANGE', K.fal_waiting(), 0, MAX_WAITING - 1, 'WITHSCORES')
  for i = 1, #found, 2 do
    if could_start(found[i], at) then
      local position = tonumber(text(call('HGET', K.image(found[i]), 'queue_position')))
      local accepted_at = tonumber(found[i + 1])
      if position and position <= ours_before(accepted_at) then return found[i], accepted_at end
      return nil
    end
  end
end

-- Another program's requests are before ours if FAL counts more of them than we have there. Requests that started, or
-- were posted, a moment ago may be in FAL's number and not in ours.
local function look_for_others(at)
  local waiting = call('ZCARD', K.fal_waiting())
  if waiting == 0 then return end
  local running = call('ZCARD', K.fal_running())
  local unsure = call('ZCARD', K.permits()) - running - waiting + call('ZCOUNT', K.fal_running(), at - 2000, '+inf')
  for _, rank in ipairs({0, waiting - 1}) do
    local id, accepted_at = unpack(call('ZRANGE', K.fal_waiting(), rank, rank, 'WITHSCORES'))
    local position = tonumber(text(call('HGET', K.image(id), 'queue_position')))
    if position and position > ours_before(tonumber(accepted_at)) + math.max(unsure, 0) then call('HSET', K.fal_window(), 'foreign_at', at) end
  end
end

-- A request that was overtaken by one of another endpoint still waits: its own endpoint runs no more. Only a position
-- proves that it waits: one whose status nobody can read may run.
local function learn_endpoint_limit(image_id, limit)
  local model = endpoint_of(image_id)
  if not model or not call('ZSCORE', K.fal_waiting(), image_id) then return end
  if text(call('HGET', K.image(image_id), 'queue_position')) == '' then return end
  local runs = running_models()[model] or 0
  local known = tonumber(call('HGET', K.fal_endpoints(), model))
  if runs > 0 and runs < limit and (not known or runs < known) then set_endpoint_limit(model, runs) end
end

-- Whether all that FAL runs is what ran at most since `before_at`: one of ours could have started for as long, and
-- nobody else is on the account. Only ends can show it: FAL may still be starting runners.
local function is_full(before_at, ends, foreign_at, at)
  if ends < 2 or at - foreign_at < FOREIGN_FOR then return false end
  local id, accepted_at = next_to_start(at)
  return id and accepted_at <= before_at
end

-- When the last of this set began or ended, in ms; 0 where there is none.
local function last_of(set) return num(call('ZRANGE', set, -1, -1, 'WITHSCORES')[2]) end

-- Whether one of ours has ended for a while without another one starting in its place, although one waits that FAL
-- could start since then.
local function is_vacant(at)
  local ended_at = last_of(K.fal_ended())
  if at - ended_at < SETTLE or last_of(K.fal_running()) >= ended_at then return false end
  local id, accepted_at = next_to_start(at)
  return id and accepted_at <= ended_at and at - accepted_at >= SETTLE
end

-- Draws the conclusions that take a while. Only the clock does: each of them compares what was so for a while, and an end
-- that drew them itself was the dearest part of an image's script.
local function learn(at)
  buffer_hash(K.fal_window(), WINDOW_FIELDS)
  local row = call('HMGET', K.fal_window(), 'ends', 'round_at', 'peak', 'over_at', 'overtaken', 'overtaken_at',
    'header_at', 'before_at', 'peak_before')
  local limit, running = learned_limit(), call('ZCARD', K.fal_running())
  if row[5] and at - num(row[6]) >= CONFIRM then
    learn_endpoint_limit(row[5], limit)
    call('HDEL', K.fal_window(), 'overtaken', 'overtaken_at')
  end
  if running > limit then
    if row[4] and at - num(row[4]) >= CONFIRM then set_limit(running, 'learned', at) end
    return
  end
  if row[4] then call('HDEL', K.fal_window(), 'over_at') end
  look_for_others(at)
  local believed = at - num(row[7]) < HEADER_FOR
  if not believed and math.max(1, running) < limit and is_vacant(at) then
    return set_limit(math.max(1, running), 'learned', at)
  end
  if at - num(row[2]) < ROUND then return end
  local before_at, peak = num(row[8]), math.max(num(row[3]), num(row[9]))
  local foreign_at = num(call('HGET', K.fal_window(), 'foreign_at'))
  if row[8] and at - before_at >= SETTLE and peak < limit and not believed
    and is_full(before_at, num(row[1]), foreign_at, at) then
    return set_limit(math.max(1, peak), 'learned', at)
  end
  call('HSET', K.fal_window(), 'round_at', at, 'peak', running, 'before_at', row[2] or at,
    'peak_before', row[3] or running)
  call('PEXPIRE', K.fal_window(), FLEET_TTL)
end

-- FAL has accepted the image's request, or has put it back into its queue.
local function note_waiting(image_id, from, at)
  if from == 'generating' then call('ZREM', K.fal_running(), image_id) end
  cached_running = nil
  -- of two or more the first has set the TTL
  if call('ZADD', K.fal_waiting(), 'NX', at, image_id) == 1 and call('ZCARD', K.fal_waiting()) == 1 then
    call('PEXPIRE', K.fal_waiting(), FLEET_TTL)
  end
end

-- An older request of another endpoint still waits while this one starts. Whether that is its endpoint's limit shows
-- after a moment, unless FAL prefers others to it: those of low priority are overtaken by all. `oldest` are the first
-- five that wait, with the times at which FAL accepted them; this one was among them, or came after all of them.
local function note_overtaken(image_id, oldest, at)
  local older, accepted_at = {}, math.huge
  for i = 1, #oldest, 2 do
    if oldest[i] == image_id then accepted_at = tonumber(oldest[i + 1]) end
  end
  for i = 1, #oldest, 2 do
    if tonumber(oldest[i + 1]) < accepted_at then older[#older + 1] = oldest[i] end
  end
  if #older == 0 then return end
  local model = model_of(image_id)
  for i, other in ipairs(endpoints_of(older)) do
    if other and other ~= model then
      local job = text(call('HGET', K.image(older[i]), 'job_id'))
      if call('HGET', K.job(job), 'priority') ~= 'low' then
        if call('HSETNX', K.fal_window(), 'overtaken', older[i]) == 1 then
          call('HSET', K.fal_window(), 'overtaken_at', at)
        end
        return
      end
    end
  end
end

-- FAL has started the image's request. `waited`: it was seen in FAL's queue. Where one waited, FAL may have started this
-- one because another has ended of which we have not heard. Otherwise FAL runs it beside all others.
local function note_start(image_id, waited, at)
  local window = K.fal_window()
  buffer_hash(window, WINDOW_FIELDS)
  local oldest = call('ZRANGE', K.fal_waiting(), 0, 4, 'WITHSCORES')
  call('ZREM', K.fal_waiting(), image_id)
  call('ZADD', K.fal_running(), at, image_id)
  cached_running = nil
  local limit, running = learned_limit(), call('ZCARD', K.fal_running())
  local row = call('HMGET', window, 'peak', 'full', 'over_at', 'overtaken')
  if row[4] == image_id then call('HDEL', window, 'overtaken', 'overtaken_at') end
  if running == 1 then
    call('PEXPIRE', K.fal_running(), FLEET_TTL)
    call('PEXPIRE', window, FLEET_TTL)
    call('HSET', window, 'ends', 0)
    call('HDEL', window, 'full')
  end
  if running > num(row[1]) then call('HSET', window, 'peak', running) end
  if running > limit then
    if not waited and not row[2] then
      set_limit(running, 'learned', at)
    elseif not row[3] then
      call('HSET', window, 'over_at', at)
    end
  elseif waited then
    call('HSET', window, 'full', 1)
  end
  local model = text(model_of(image_id))
  local most = tonumber(call('HGET', K.fal_endpoints(), model))
  if most then
    local runs = running_models()[model] or 0
    if runs >= limit then
      call('HDEL', K.fal_endpoints(), model)
    elseif runs > most then
      set_endpoint_limit(model, runs)
    end
  end
  note_overtaken(image_id, oldest, at)
end

-- FAL has ended the image's request, or has nothing of it any more. `completed`: it has run, whether or not we saw it.
local function note_end(image_id, completed, at)
  local ran = call('ZREM', K.fal_running(), image_id) == 1
  cached_running = nil
  if not ran then call('ZREM', K.fal_waiting(), image_id) end
  if not ran and not completed then return end
  -- the reconciler renews the TTLs of what is there already
  if call('ZADD', K.fal_ended(), at, text(model_of(image_id))) == 1 then call('PEXPIRE', K.fal_ended(), FLEET_TTL) end
  if call('HINCRBY', K.fal_window(), 'ends', 1) == 1 then call('PEXPIRE', K.fal_window(), FLEET_TTL) end
end

-- Follows one move of an image. `waited`: FAL has said that it waits in its queue.
local function note_move(image_id, from, to, waited, at)
  if to == 'generating' then
    note_start(image_id, waited, at)
  elseif to == 'submitted' then
    note_waiting(image_id, from, at)
  elseif from == 'generating' or from == 'submitted' then
    note_end(image_id, to == 'storing', at)
  end
end
