-- Step 2: pictures are at FAL's storage, and now may be POSTed, the first one first.
-- {max_permits, {{image_id, token, attempt_token, url}, …}}
-- Returns for each 1 with the intent written; 0 the fence is another's or the image is final, 2 no permit is
-- free (then neither for those behind it), 3 generations are paused, 4 FAL's endpoint is refused.
local max_permits, wishes = unpack(cmsgpack.unpack(ARGV[1]))
local at = now_ms()
local free = max_permits - call('ZCARD', K.permits())
local by_hand = call('HEXISTS', K.pause(GENERATION), 'paused') == 1
local only = queue_paused(GENERATION) and (call('HGET', K.circuit(), 'trial_image') or '')
local taken, waits = 0, false

local function take(id, token, attempt_token, url)
  local image = K.image(id)
  local head = call('HMGET', image, 'fence', 'status')
  if token == '' or head[1] ~= token or FINISHED[head[2]] then return 0 end
  if by_hand or (only and only ~= id) then return 3 end
  if refused_by(id) then return 4 end
  if not call('ZSCORE', K.permits(), id) then
    if taken >= free then
      waits = true
      return 2
    end
    call('ZADD', K.permits(), at, id)
    taken = taken + 1
  end
  call('ZREM', K.ahead(), id)
  call('HSET', image, 'attempt_token', attempt_token, 'intent_url', url)
  return 1
end

local answers = {}
for i, wish in ipairs(wishes) do
  if waits then
    -- whoever cannot be sent anyway waits for no permit: its place ahead is another's
    answers[i] = refused_by(wish[1]) and 4 or 2
  else
    answers[i] = take(unpack(wish))
  end
end
if taken > 0 then call('PEXPIRE', K.permits(), FLEET_TTL) end
return answers
