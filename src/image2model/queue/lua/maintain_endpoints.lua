-- Starts the probes of endpoints that are due, and fails images that have waited too long.
-- {patience_ms, probe_within_ms, idle_ms}
-- A probe without a verdict within `probe_within_ms` passes to the next image. A circuit for which no image waits
-- closes `idle_ms` after its last probe was due.
-- Returns {{{model, the image that probes or ''}, ...} of the open circuits, {{image_id, model}, ...} of the images
-- that failed}.
local patience, within, idle = unpack(cmsgpack.unpack(ARGV[1]))
local at, queue = now_ms(), ARQ_QUEUE .. GENERATION
local MAX_FAILED, failed = 100, {}

local function endpoint_unavailable(model)
  local row = call('HMGET', K.endpoint(model), 'why', 'words', 'status', 'fal_type')
  local did = row[1] == 'refused' and 'refused pictures' or 'failed'
  local error = {
    code = 'endpoint_unavailable',
    message = string.format("FAL's endpoint %s %s for %d s (I2M_ENDPOINT_PATIENCE), last with: %s",
      model, did, math.floor(patience / 1000), text(row[2])),
    retryable = true,
  }
  if text(row[4]) ~= '' then error.fal_type = row[4] end
  return cjson.encode(error)
end

local function fail_impatient(model)
  local since = K.endpoint_since(model)
  local found = call('ZRANGEBYSCORE', since, '-inf', unpaused_clock(at) - patience, 'LIMIT', 0, MAX_FAILED)
  local error = #found > 0 and endpoint_unavailable(model)
  for _, id in ipairs(found) do
    local waits = awaits_endpoint(id)
    remove_endpoint_waiter(id, model)
    if waits and move(id, 'failed', {'error', error}, at) then failed[#failed + 1] = {id, model} end
  end
end

-- Whether a probe is under way. One that has ended without a verdict is over.
local function is_probing(row)
  if not row[2] then return false end
  local image = call('HMGET', K.image(row[2]), 'status', 'request_id')
  if not image[1] or FINISHED[image[1]] or text(image[2]) ~= '' or at >= num(row[3]) then return false end
  -- one that waits for the run of the same picture, which is at FAL already, does not probe
  return tonumber(call('ZSCORE', queue, row[2])) ~= AWAITING_REUSE
end

local function probe_if_due(model)
  local row = call('HMGET', K.endpoint(model), 'probe_at', 'probe_image', 'probe_until', 'opened_at')
  if not row[4] then return close_endpoint(model) end
  if at < num(row[1]) or is_probing(row) then return end
  if row[2] then
    call('HDEL', K.endpoint(model), 'probe_image', 'probe_until')
    cached_circuits = nil
  end
  if not probe_next(model, at, within) and at >= num(row[1]) + idle then close_endpoint(model) end
end

local paused = queue_paused(GENERATION)
if not paused or paused_by_endpoints() then
  for _, model in ipairs(call('SMEMBERS', K.endpoints())) do
    fail_impatient(model)
    if not paused then probe_if_due(model) end
  end
end
local open = {}
for model, probe in pairs(open_circuits()) do open[#open + 1] = {model, probe} end
return cmsgpack.pack({open, failed})
