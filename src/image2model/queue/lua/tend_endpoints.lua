-- Lets the probes go that are due, and ends the images whose patience is over. {patience_ms, probe_within_ms, idle_ms}
-- A probe that brings no verdict within `probe_within_ms` is another's turn; a circuit for which nobody waits closes
-- `idle_ms` after its last probe was due. Returns {{{model, the image that probes or ''}, ...} of the open circuits,
-- {{image_id, model}, ...} of the images that gave up}.
local patience, within, idle = unpack(cmsgpack.unpack(ARGV[1]))
local at, queue = now_ms(), ARQ_QUEUE .. GENERATION
local MOST_ENDED, ended = 100, {}

local function failure(model)
  local said = call('HMGET', K.endpoint(model), 'why', 'words', 'status', 'fal_type')
  local did = said[1] == 'refused' and 'refused pictures' or 'failed'
  local error = {
    code = 'endpoint_unavailable',
    message = string.format("FAL's endpoint %s %s for %d s (I2M_ENDPOINT_PATIENCE), last with: %s",
      model, did, math.floor(patience / 1000), text(said[2])),
    retryable = true,
  }
  if text(said[4]) ~= '' then error.fal_type = said[4] end
  return cjson.encode(error)
end

local function end_impatient(model)
  local since = K.endpoint_since(model)
  local found = call('ZRANGEBYSCORE', since, '-inf', patient_time(at) - patience, 'LIMIT', 0, MOST_ENDED)
  local error = #found > 0 and failure(model)
  for _, id in ipairs(found) do
    local parked = waits_for_endpoint(id)
    leave_endpoint(id, model)
    if parked and move(id, 'failed', {'error', error}, at) then ended[#ended + 1] = {id, model} end
  end
end

-- Whether a probe is under way. One that has ended without a verdict is nobody's any more.
local function probing(row)
  if not row[2] then return false end
  local head = call('HMGET', K.image(row[2]), 'status', 'request_id')
  if not head[1] or FINISHED[head[1]] or text(head[2]) ~= '' or at >= num(row[3]) then return false end
  -- the same picture's run is at FAL already: it waits for that
  return tonumber(call('ZSCORE', queue, row[2])) ~= PARKED
end

local function tend(model)
  local row = call('HMGET', K.endpoint(model), 'probe_at', 'probe_image', 'probe_until', 'opened_at')
  if not row[4] then return close_endpoint(model) end
  if at < num(row[1]) or probing(row) then return end
  if row[2] then
    call('HDEL', K.endpoint(model), 'probe_image', 'probe_until')
    open_endpoints = nil
  end
  if not probe_next(model, at, within) and at >= num(row[1]) + idle then close_endpoint(model) end
end

local paused = queue_paused(GENERATION)
if not paused or paused_by_endpoints() then
  for _, model in ipairs(call('SMEMBERS', K.endpoints())) do
    end_impatient(model)
    if not paused then tend(model) end
  end
end
local open = {}
for model, probe in pairs(refusing()) do open[#open + 1] = {model, probe} end
return cmsgpack.pack({open, ended})
