-- Stores FAL's id as soon as FAL has accepted the request. {image_id, attempt_token, token, fields,
-- {keep_ms, abandoned_ms} or false}: for how long FAL keeps the request at most, see `keep_at_fal`, and for how long
-- where it is abandoned.
-- Fenced by the attempt, not by the holder: a worker that was suspended during its POST is the only one that knows
-- the id. Returns 1 stored, and the caller holds the image; 2 stored, and the caller does not hold it; 0 another
-- attempt has taken its place: the caller should cancel the request at FAL.
local id, attempt_token, token, fields, keep = unpack(cmsgpack.unpack(ARGV[1]))
local image = K.image(id)
local head = call('HMGET', image, 'attempt_token', 'status', 'request_id', 'posting_at')
local at, request_id = now_ms(), fields[2]
local function abandon()
  keep_at_fal(request_id, id, keep and keep[2], at)
  return 0
end
if head[1] ~= attempt_token then return abandon() end
local mine = holds_fence(id, token)
if text(head[3]) ~= '' then return mine and 1 or 2 end
if head[2] == 'succeeded' or head[2] == 'cancelled' then return abandon() end
keep_at_fal(request_id, id, keep and keep[1], at)
close_circuit(at)
endpoint_accepted(id, num(head[4]), at)
call('HSET', image, 'error', '', 'finished_at', '', 'submitted_at', at)
call('ZADD', K.permits(), 'NX', at, id)
call('PEXPIRE', K.permits(), FLEET_TTL)
note_model(id)
release_hold(hold_of(id, attempt_token))  -- the move reserves the price for the image again
move(id, 'submitted', fields, at)
if mine then return 1 end
if call('EXISTS', ARQ_IN_PROGRESS .. id) == 0 then
  enqueue(GENERATION, id, 'generate_model', id, FOLLOW_NOW, at)
end
return 2
