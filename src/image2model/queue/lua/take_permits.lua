-- Takes permits for images that are ready for their POST, in order.
-- {max_permits, {{image_id, token, attempt_token, url}, …}}
-- Returns for each: 1 granted, and the intent is written; 0 the caller no longer holds the image, or it is final;
-- 2 no permit is free (then none for those behind it either); 3 generations are paused; 4 its endpoint's circuit
-- is open.
local max_permits, requests = unpack(cmsgpack.unpack(ARGV[1]))
local at = now_ms()
local free = max_permits - call('ZCARD', K.permits())
local operator_pause = call('HEXISTS', K.pause(GENERATION), 'paused') == 1
local only = queue_paused(GENERATION) and (call('HGET', K.circuit(), 'trial_image') or '')
local taken, exhausted = 0, false

local function take(id, token, attempt_token, url)
  local image = K.image(id)
  local row = call('HMGET', image, 'fence', 'status')
  if token == '' or row[1] ~= token or FINISHED[row[2]] then return 0 end
  if operator_pause or (only and only ~= id) then return 3 end
  if blocking_endpoint(id) then return 4 end
  if not call('ZSCORE', K.permits(), id) then
    if taken >= free then
      exhausted = true
      return 2
    end
    call('ZADD', K.permits(), at, id)
    taken = taken + 1
  end
  call('ZREM', K.ahead(), id)
  call('HSET', image, 'attempt_token', attempt_token, 'intent_url', url)
  return 1
end

local replies = {}
for i, request in ipairs(requests) do
  if exhausted then
    -- an image that cannot be sent must not wait for a permit: its look-ahead entry goes to another
    replies[i] = blocking_endpoint(request[1]) and 4 or 2
  else
    replies[i] = take(unpack(request))
  end
end
if taken > 0 then call('PEXPIRE', K.permits(), FLEET_TTL) end
return replies
