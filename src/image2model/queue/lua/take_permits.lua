-- Takes permits for images that are ready for their POST: the first in the fair order among all that wait for one, of the
-- whole fleet. {max_permits, concurrency, {{image_id, token, attempt_token, url}, …}}, see `window_of`
-- Returns for each: 1 granted, and the intent is written; 0 the caller no longer holds the image, or it is final;
-- 2 no permit is free for it; 3 generations are paused; 4 its endpoint's circuit is open.
-- An image counts while its worker goes on asking for it, so one whose worker has died blocks nobody. A worker asks for
-- all that it has whenever a permit comes free, so a call must not cost more for each image that goes on waiting: an
-- image is looked at when it is first asked for, and when it gets its permit.
local max_permits, concurrency, requests = unpack(cmsgpack.unpack(ARGV[1]))
local at, ASKS_WITHIN, MAX_EXAMINED = now_ms(), 1000, 500
local calm = is_calm()
local window = window_of(concurrency, max_permits, calm)
local paused = not calm and queue_paused(GENERATION)
local operator_pause = paused and call('HEXISTS', K.pause(GENERATION), 'paused') == 1
local only = paused and (call('HGET', K.circuit(), 'trial_image') or '')

local ids, number_of, replies = {}, {}, {}
for i, request in ipairs(requests) do
  ids[i] = request[1]
  number_of[request[1]] = i
end
local permitted, tags = call('ZMSCORE', K.permits(), unpack(ids)), call('ZMSCORE', K.ahead(), unpack(ids))
-- When those of this call were last asked for, and the images of others that are asked for no more.
local asked, given_up = {}, {}
local askers = call('ZRANGE', K.asked(), 0, -1, 'WITHSCORES')
for n = 1, #askers, 2 do
  local i, last = number_of[askers[n]], tonumber(askers[n + 1])
  if i then
    asked[i] = last
  elseif last <= at - ASKS_WITHIN then
    given_up[#given_up + 1] = askers[n]
  end
end

local function is_held(i)
  local row = call('HMGET', K.image(ids[i]), 'fence', 'status')
  return requests[i][2] ~= '' and row[1] == requests[i][2] and not FINISHED[row[2]]
end

-- The reply to a request that must not wait, or nothing.
local function refusal(i)
  if (permitted[i] or not asked[i]) and not is_held(i) then return 0 end
  if operator_pause or (only and only ~= ids[i]) then return 3 end
  if blocking_endpoint(ids[i]) then return 4 end
end

local function write_intent(i)
  call('HSET', K.image(ids[i]), 'attempt_token', requests[i][3], 'intent_url', requests[i][4], 'hazard', '')
  replies[i] = 1
end

local function remove(list, ...)
  if #list == 0 then return end
  for _, set in ipairs({...}) do call('ZREM', set, unpack(list)) end
end

-- All that wait for a permit, as far as they may get one, in the fair order: {{tag, id}, ...}. `new` come besides those
-- that have asked before.
local function in_fair_order(new, free)
  -- where nothing holds single images back, the first get all that is free
  local most = (only or next(window.limits) or next(open_circuits())) and MAX_EXAMINED or free
  local found = #askers > #given_up * 2 and call('ZRANGE', K.prepared(), 0, most - 1, 'WITHSCORES') or {}
  local line = {}
  for n = 1, #found, 2 do line[#line + 1] = {tonumber(found[n + 1]), found[n]} end
  for _, i in ipairs(new) do line[#line + 1] = {tags[i], ids[i]} end
  table.sort(line, function(a, b) return a[1] < b[1] or (a[1] == b[1] and a[2] < b[2]) end)
  return line
end

-- The images of this call that get a permit now, as {{tag, number of the request}, ...}. Those of others take their share.
local function choose(new, taken)
  local counts = count_limited(window.limits, K.permits())
  local free = math.min(window.target - taken + excess(window.limits, counts), max_permits - taken)
  local chosen = {}
  if free <= 0 then return chosen end
  for _, place in ipairs(in_fair_order(new, free)) do
    if free <= 0 then break end
    local id = place[2]
    local model = next(window.limits) and endpoint_of(id)
    local most = model and window.limits[model]
    local full = most and (counts[model] or 0) > most
    if not full and not blocking_endpoint(id) and not (only and only ~= id) then
      local i = number_of[id]
      if i and not replies[i] then chosen[#chosen + 1] = {place[1], i} end
      free = free - 1
      if most then
        counts[model] = (counts[model] or 0) + 1
        -- one that is more than its endpoint runs uses nothing of the account's window
        if counts[model] > most then free = free + 1 end
      end
    end
  end
  return chosen
end

local new = {}
for i, id in ipairs(ids) do
  replies[i] = refusal(i)
  if replies[i] then
    if asked[i] then given_up[#given_up + 1] = id end
  elseif permitted[i] then
    write_intent(i)
  elseif not asked[i] then
    if not tags[i] then note_model(id) end
    tags[i] = tonumber(tags[i] or START_NEXT)
    new[#new + 1] = i
  end
end
remove(given_up, K.prepared(), K.asked())

local taken = call('ZCARD', K.permits())
local granted, waited, permits, scores = {}, {}, {}, {}
for _, one in ipairs(choose(new, taken)) do
  local score, i = unpack(one)
  local id = ids[i]
  if asked[i] then waited[#waited + 1] = id end
  if asked[i] and not is_held(i) then
    replies[i] = 0
  else
    write_intent(i)
    granted[#granted + 1], scores[#scores + 1] = id, score
    permits[#permits + 1] = at
    permits[#permits + 1] = id
  end
end
if #granted > 0 then
  call('ZADD', K.permits(), unpack(permits))
  if taken == 0 then call('PEXPIRE', K.permits(), FLEET_TTL) end
  remove(granted, K.ahead())
  remove(waited, K.prepared(), K.asked())
  advance_virtual_times(scores)
  count_low_priority(scores)
end

local places, asks = {}, {}
for i, id in ipairs(ids) do
  if not replies[i] then
    replies[i] = 2
    asks[#asks + 1] = at
    asks[#asks + 1] = id
    if not asked[i] then
      places[#places + 1] = tags[i]
      places[#places + 1] = id
    end
  end
end
if #asks > 0 then call('ZADD', K.asked(), unpack(asks)) end
if #places > 0 then
  call('ZADD', K.ahead(), unpack(places))
  call('ZADD', K.prepared(), unpack(places))
  call('PEXPIRE', K.ahead(), FLEET_TTL)
  call('PEXPIRE', K.prepared(), FLEET_TTL)
  call('PEXPIRE', K.asked(), FLEET_TTL)
end
return replies
