-- Stores FAL's id as soon as FAL has accepted the request. {image_id, attempt_token, token, {name, value, ...} of its id and
-- of its addresses for status, response and cancel,
-- {keep_ms, abandoned_ms} or false}: for how long FAL keeps the request at most, see `keep_at_fal`, and for how long
-- where it is abandoned.
-- Fenced by the attempt, not by the holder: a worker that was suspended during its POST is the only one that knows
-- the id. Returns 1 stored, and the caller holds the image; 2 stored, and the caller does not hold it; 0 another
-- attempt has taken its place: the caller should cancel the request at FAL.
local id, attempt_token, token, fields, keep = unpack(cmsgpack.unpack(ARGV[1]))
local image = K.image(id)

-- From data version 6 on, an image keeps of FAL's addresses what does not follow from the request's id: `requests_url`,
-- unless they are of another form.
local function shortened()
  local request_id, status_url, response_url, cancel_url = fields[2], fields[4], fields[6], fields[8]
  local requests_url = string.sub(response_url, 1, -2 - #request_id)
  local follow = response_url == requests_url .. '/' .. request_id and status_url == response_url .. '/status'
    and cancel_url == response_url .. '/cancel'
  if not follow or data_version() < 6 then return fields end
  return {'request_id', request_id, 'requests_url', requests_url}
end

buffer_image(id)
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
-- nothing of this is there while FAL accepts everything
if call('EXISTS', K.circuit(), K.pause(GENERATION), K.endpoints_refused(), K.endpoints_failing(),
  K.endpoint(text(model_of(id)))) > 0 then
  close_circuit(at)
  endpoint_accepted(id, num(head[4]), at)
end
call('HSET', image, 'error', '', 'finished_at', '', 'submitted_at', at)
if call('ZADD', K.permits(), 'NX', at, id) == 1 then
  -- its permit was taken back, since FAL seemed not to have it
  call('PEXPIRE', K.permits(), FLEET_TTL)
  note_model(id)
end
-- the move reserves the price for the image again
if FINISHED[head[2]] then release_hold(hold_of(id, attempt_token)) end
move(id, 'submitted', shortened(), at)
if mine then return 1 end
if not is_leased(id, at) then enqueue(GENERATION, id, 'generate_model', id, FOLLOW_NOW, at) end
return 2
