-- Counts a fault of an endpoint.
-- {image_id, kind, message, status, fal_type, threshold, {first, last gap of its probes},
-- {first, last gap of the trials of the account and FAL}}; gaps in ms.
-- `kind`: `refused` (403 to the POST) opens its circuit at once; `post` (5xx, or a malformed reply), `lost` (no reply)
-- and `result` (5xx as the result) open it after `threshold` in a row. When two endpoints refuse, or fail, and nothing
-- was accepted since the first of them, the account is at fault, or FAL as a whole.
-- Returns {whether its circuit is open, the reason why generations are paused by this fault, or ''}.
local id, kind, message, status, fal_type, threshold, gaps, pause_gaps = unpack(cmsgpack.unpack(ARGV[1]))
local at, model = now_ms(), model_of(id)
if not model then return cmsgpack.pack({false, ''}) end
local endpoint, circuit = K.endpoint(model), K.circuit()
local is_trial = call('HGET', circuit, 'trial_image') == id

local function count_for_endpoint()
  local failures = threshold
  if kind ~= 'refused' then
    failures = call('HINCRBY', endpoint, kind == 'result' and 'result_failures' or 'post_failures', 1)
  end
  local row = call('HMGET', endpoint, 'opened_at', 'probe_image')
  local open, is_probe = row[1], row[2] == id
  if not open and failures < threshold then return false end
  call('HSET', endpoint, 'words', message, 'status', status, 'fal_type', fal_type)
  if not open then
    call('SADD', K.endpoints(), model)
    call('HSET', endpoint, 'opened_at', at, 'probe_gap', gaps[1], 'last_gap', gaps[2])
  end
  if not open or is_probe then
    call('HSET', endpoint, 'why', kind)
    probe_later(model, at)
  end
  cached_circuits = nil
  return true
end

-- What the faults of several endpoints show together: 'account', 'fal' or nothing.
local function inferred_reason()
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

-- FAL replied to the trial and did not blame the account: this endpoint's fault does not hold back other endpoints.
local function pass_trial(reasons)
  call('HDEL', circuit, 'trial_image')
  resume_queue(GENERATION, reasons, at)
  local left = call('HMGET', K.pause(GENERATION), 'account', 'fal')
  if not left[1] and not left[2] then call('HDEL', circuit, unpack(CIRCUIT_FIELDS)) end
end

-- FAL has most likely accepted nothing that it answered with 5xx. Such images would hold their permits until that is
-- certain, and images of all other endpoints would wait as long. If the request turns up after all, the image takes a
-- permit again; if a webhook has already shown that it exists, the image keeps its permit.
if kind == 'post' and status >= 500 and text(call('HGET', K.image(id), 'request_id')) == '' then release_permit(id) end
local open, paused = count_for_endpoint(), ''
renew_endpoint(model)
local reason = inferred_reason()
if reason then
  if call('HEXISTS', K.pause(GENERATION), reason) == 0 then call('HSET', circuit, 'inferred', reason) end
  open_circuit(reason, pause_gaps[1], pause_gaps[2], at)
  paused = reason
elseif kind == 'lost' then
  if count_fault('fal', threshold, pause_gaps[1], pause_gaps[2], at) then paused = 'fal' end
elseif is_trial then
  local known = kind == 'post' and call('HGET', circuit, 'inferred') == 'fal'
  pass_trial(known and {'account'} or {'account', 'fal'})
end
return cmsgpack.pack({open, paused})
