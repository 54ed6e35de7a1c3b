-- Step 2: the picture is at FAL's storage, and now may be POSTed. {image_id, token, max_permits, attempt_token, url}
-- Returns 1 with the intent written; 0 the fence is another's or the image is final, 2 no permit is free,
-- 3 generations are paused.
local id, token, max_permits, attempt_token, url = unpack(cmsgpack.unpack(ARGV[1]))
if not holds(id, token) or FINISHED[call('HGET', K.image(id), 'status')] then return 0 end
-- it is prepared: whatever ends a worker from here on, this picture does not
call('HSET', K.image(id), 'pickups', 0)
local by_hand = call('HEXISTS', K.pause(GENERATION), 'paused') == 1
if by_hand or (queue_paused(GENERATION) and call('HGET', K.circuit(), 'trial_image') ~= id) then return 3 end
if not call('ZSCORE', K.permits(), id) then
  if call('ZCARD', K.permits()) >= max_permits then return 2 end
  call('ZADD', K.permits(), now_ms(), id)
  call('PEXPIRE', K.permits(), FLEET_TTL)
  call('PUBLISH', READY, GENERATION)
end
call('ZREM', K.ahead(), id)
call('HSET', K.image(id), 'attempt_token', attempt_token, 'intent_url', url)
return 1
