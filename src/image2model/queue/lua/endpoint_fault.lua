-- An endpoint is at fault. {image_id, kind, words, status, fal_type, threshold, {first, last gap of its probes},
-- {first, last gap of the trials of the account and FAL}}; gaps in ms.
-- `kind`: `refused` (403 to the POST) opens its circuit at once, `post` (5xx, or a reply that makes no sense), `lost`
-- (no reply) and `result` (5xx as the result) after `threshold` in a row. Two endpoints that are refused, or that
-- fail, with nothing accepted since the first of them, are the account's fault, or FAL's as a whole.
-- Returns {whether its circuit is open, the reason why generations are paused by this fault, or ''}.
local id, kind, words, status, fal_type, threshold, gaps, pause_gaps = unpack(cmsgpack.unpack(ARGV[1]))
local at, model = now_ms(), model_of(id)
if not model then return cmsgpack.pack({false, ''}) end
local endpoint, circuit = K.endpoint(model), K.circuit()
local trial = call('HGET', circuit, 'trial_image') == id

local function count_for_endpoint()
  local failures = threshold
  if kind ~= 'refused' then
    failures = call('HINCRBY', endpoint, kind == 'result' and 'result_failures' or 'post_failures', 1)
  end
  local row = call('HMGET', endpoint, 'opened_at', 'probe_image')
  local open, probe = row[1], row[2] == id
  if not open and failures < threshold then return false end
  call('HSET', endpoint, 'words', words, 'status', status, 'fal_type', fal_type)
  if not open then
    call('SADD', K.endpoints(), model)
    call('HSET', endpoint, 'opened_at', at, 'probe_gap', gaps[1], 'last_gap', gaps[2])
  end
  if not open or probe then
    call('HSET', endpoint, 'why', kind)
    probe_later(model, at)
  end
  open_endpoints = nil
  return true
end

-- What several endpoints show together: 'account', 'fal' or nothing.
local function inferred()
  if kind == 'result' then return nil end
  local seen = kind == 'refused' and K.endpoints_refused() or K.endpoints_failing()
  call('HINCRBY', seen, model, 1)
  call('PEXPIRE', seen, FLEET_TTL)
  if call('HLEN', seen) < 2 then return nil end
  if kind == 'refused' then return 'account' end
  local sum = 0
  for _, count in ipairs(call('HVALS', seen)) do sum = sum + num(count) end
  return sum >= threshold and 'fal' or nil
end

-- FAL answered the trial, and did not blame the account: what this endpoint says keeps back no other one.
local function trial_passes(reasons)
  call('HDEL', circuit, 'trial_image')
  resume_queue(GENERATION, reasons, at)
  local left = call('HMGET', K.pause(GENERATION), 'account', 'fal')
  if not left[1] and not left[2] then call('HDEL', circuit, unpack(CIRCUIT_FIELDS)) end
end

-- FAL most likely has nothing of what it answered with 5xx. Those would hold their permits until it is known, and
-- the pictures of all other endpoints would wait for as long. One that turns up takes a permit again; one that has
-- turned up already, by a webhook, keeps it.
if kind == 'post' and status >= 500 and text(call('HGET', K.image(id), 'request_id')) == '' then release_permit(id) end
local open, paused = count_for_endpoint(), ''
renew_endpoint(model)
local reason = inferred()
if reason then
  if call('HEXISTS', K.pause(GENERATION), reason) == 0 then call('HSET', circuit, 'inferred', reason) end
  open_circuit(reason, pause_gaps[1], pause_gaps[2], at)
  paused = reason
elseif kind == 'lost' then
  if count_fault('fal', threshold, pause_gaps[1], pause_gaps[2], at) then paused = 'fal' end
elseif trial then
  local known = kind == 'post' and call('HGET', circuit, 'inferred') == 'fal'
  trial_passes(known and {'account'} or {'account', 'fal'})
end
return cmsgpack.pack({open, paused})
