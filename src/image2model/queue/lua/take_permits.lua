-- Takes permits for images that are ready for their POST: the first in the fair order among all that wait for one, of the
-- whole fleet. {max_permits, concurrency, {{image_id, token, attempt_token, url}, …}}, see `window_of`
-- Returns for each: 1 granted, and the intent is written; 0 the caller no longer holds the image, or it is final;
-- 2 no permit is free for it; 3 generations are paused; 4 its endpoint's circuit is open.
-- An image counts while its worker goes on asking for it, so one whose worker has died blocks nobody.
local max_permits, concurrency, requests = unpack(cmsgpack.unpack(ARGV[1]))
local at, ASKS_WITHIN, MAX_EXAMINED = now_ms(), 1000, 500
local window = window_of(concurrency, max_permits)
local operator_pause = call('HEXISTS', K.pause(GENERATION), 'paused') == 1
local only = queue_paused(GENERATION) and (call('HGET', K.circuit(), 'trial_image') or '')

-- The reply to a request that must not wait, or nothing.
local function refusal(id, token)
  local row = call('HMGET', K.image(id), 'fence', 'status')
  if token == '' or row[1] ~= token or FINISHED[row[2]] then return 0 end
  if operator_pause or (only and only ~= id) then return 3 end
  if blocking_endpoint(id) then return 4 end
end

local function await_permit(id)
  local tag = call('ZSCORE', K.ahead(), id)
  if not tag then
    tag = START_NEXT
    call('ZADD', K.ahead(), tag, id)
    note_model(id)
  end
  call('ZADD', K.prepared(), tag, id)
  call('ZADD', K.asked(), at, id)
end

local function grant(id, attempt_token, url)
  if not call('ZSCORE', K.permits(), id) then
    local score = tonumber(call('ZSCORE', K.prepared(), id))
    call('ZADD', K.permits(), at, id)
    note_model(id)
    advance_virtual_time(score)
    count_low_priority(score)
  end
  forget_prepared(id)
  call('HSET', K.image(id), 'attempt_token', attempt_token, 'intent_url', url)
end

-- The images that get a permit now: a set.
local function chosen()
  local taken = call('ZCARD', K.permits())
  local counts = count_limited(window.limits, K.permits())
  local free = math.min(window.target - taken + excess(window.limits, counts), max_permits - taken)
  local found, offset = {}, 0
  while free > 0 and offset < MAX_EXAMINED do
    local page = call('ZRANGE', K.prepared(), offset, offset + 49)
    if #page == 0 then break end
    offset = offset + #page
    for _, id in ipairs(page) do
      local model = next(window.limits) and call('HGET', K.fal_models(), id)
      local most = model and window.limits[model]
      local full = most and (counts[model] or 0) > most
      if free > 0 and not full and not blocking_endpoint(id) and not (only and only ~= id) then
        found[id], free = true, free - 1
        if most then
          counts[model] = (counts[model] or 0) + 1
          -- one that is more than its endpoint runs uses nothing of the account's window
          if counts[model] > most then free = free + 1 end
        end
      end
    end
  end
  return found
end

local replies = {}
for i, request in ipairs(requests) do
  local id, token = request[1], request[2]
  replies[i] = refusal(id, token)
  if replies[i] then
    call('ZREM', K.prepared(), id)
    call('ZREM', K.asked(), id)
  elseif call('ZSCORE', K.permits(), id) then
    replies[i] = 1
  else
    await_permit(id)
  end
end
for _, id in ipairs(call('ZRANGEBYSCORE', K.asked(), '-inf', at - ASKS_WITHIN)) do
  call('ZREM', K.prepared(), id)
  call('ZREM', K.asked(), id)
end
local granted = chosen()
for i, request in ipairs(requests) do
  if not replies[i] then replies[i] = granted[request[1]] and 1 or 2 end
  if replies[i] == 1 then grant(request[1], request[3], request[4]) end
end
call('PEXPIRE', K.permits(), FLEET_TTL)
call('PEXPIRE', K.ahead(), FLEET_TTL)
call('PEXPIRE', K.prepared(), FLEET_TTL)
call('PEXPIRE', K.asked(), FLEET_TTL)
return replies
