-- Writes into each job in which nothing moves why it waits. {max_permits, concurrency, max_jobs, pause_ms}
-- At most once in `pause_ms` for the whole fleet: it reads every unfinished job, and every worker calls it.
-- Returns how many jobs changed.
local max_permits, concurrency, max_jobs, pause = unpack(cmsgpack.unpack(ARGV[1]))
if not call('SET', K.waiting_told(), 1, 'NX', 'PX', pause) then return 0 end
local at, changed, reason = now_ms(), 0, ''
local stopped = false
-- the look-ahead counts: permits that are free for a moment are for it, and each change is an event for each job
local window = window_of(concurrency, max_permits)
local counts = count_limited(window.limits, K.permits(), K.ahead())
local used = call('ZCARD', K.permits()) + call('ZCARD', K.ahead()) - excess(window.limits, counts)
if used >= window.target then reason = window.target < max_permits and 'turn' or 'limit' end
local pauses = call('HKEYS', K.pause(GENERATION))
for _, name in ipairs({'fal', 'account', 'paused'}) do
  for _, set in ipairs(pauses) do
    if set == name then reason, stopped = name, true end
  end
end

-- Why a job of this model waits: a pause first, then its endpoint, then permits. Version 1 knows no endpoints: its
-- workers would change `endpoint` back and ours would write it again, with an event for each job each time.
local REPORTS_ENDPOINTS = data_version() >= 2
local function reason_of(model)
  if stopped then return reason end
  if REPORTS_ENDPOINTS and open_circuits()[model] then return 'endpoint' end
  if window.limits[model] and (counts[model] or 0) >= window.limits[model] then return 'turn' end
  return reason
end

-- The first unfinished image that waits for neither a confirmation nor its picture; else nothing, and what they wait for.
local function first_to_run(job_id)
  local why
  for _, id in ipairs(image_ids(job_id)) do
    local score = tonumber(call('ZSCORE', ARQ_QUEUE .. GENERATION, id))
    if score == AWAITING_FETCH then
      why = 'fetch'
    elseif score == AWAITING_CONFIRMATION then
      why = why or 'confirmation'
    elseif score then
      return id
    end
  end
  return nil, why or ''
end

-- The same for a job whose pictures are fetched or prepared first: it may wait for them, for a client, or for the
-- remover's endpoint.
local function reason_of_prepared(job_id)
  local id, why = first_to_run(job_id)
  if not id then return why end
  return reason_of(text(model_of(id)))
end

-- The counts come first, as `total_in` expects them.
local FIELDS = {unpack(COUNT_FIELDS)}
FIELDS[#FIELDS + 1] = 'owner'
FIELDS[#FIELDS + 1] = 'waiting_for'
FIELDS[#FIELDS + 1] = 'model'
FIELDS[#FIELDS + 1] = 'prepared'
FIELDS[#FIELDS + 1] = 'fetched'

local function write_reason(job_id, waiting)
  for _, id in ipairs(image_ids(job_id)) do
    if UNFINISHED[call('HGET', K.image(id), 'status')] then
      return emit_image(job_id, id, at, nil, nil, nil, waiting)
    end
  end
end

for _, job_id in ipairs(call('ZRANGE', K.unfinished(), 0, max_jobs - 1)) do
  local row = call('HMGET', K.job(job_id), unpack(FIELDS))
  local counts, exists, before = numbers(row), row[#FIELDS - 4], text(row[#FIELDS - 3])
  local waits = total_in(counts, UNFINISHED) > 0 and total_in(counts, ADVANCING) == 0
  local waiting = ''
  if waits then
    waiting = text(row[#FIELDS]) .. text(row[#FIELDS - 1]) ~= '' and reason_of_prepared(job_id) or reason_of(row[#FIELDS - 2])
  end
  if exists and before ~= waiting then
    write_reason(job_id, waiting)
    changed = changed + 1
  end
end
return changed
