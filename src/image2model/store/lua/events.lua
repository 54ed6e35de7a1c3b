-- The rows and counts of jobs and images, and the events that show them. Needs base.lua and data_version.lua.

local function numbers(values)
  local all = {}
  for i, value in ipairs(values) do all[i] = num(value) end
  return all
end

local function counts_of(job_id) return numbers(call('HMGET', K.job(job_id), unpack(COUNT_FIELDS))) end

-- The sum of `counts` over the statuses in `set`.
local function total_in(counts, set)
  local sum = 0
  for i, status in ipairs(STATUSES) do if set[status] then sum = sum + counts[i] end end
  return sum
end

local function image_row(image_id)
  local values = call('HMGET', K.image(image_id), unpack(IMAGE_FIELDS))
  for i = 1, #values do values[i] = text(values[i]) end
  return values
end

local function job_row(job_id)
  local values = call('HMGET', K.job(job_id), unpack(JOB_FIELDS))
  for i = 1, #values do values[i] = text(values[i]) end
  return values
end

-- What a lookup of a job needs: {version, owner, deleted, expires_at, priority, updated_at}.
local function lookup_row(job_id)
  local row = call('HMGET', K.job(job_id), 'version', 'owner', 'deleted', 'expires_at', 'priority', 'updated_at')
  for i = 1, #row do row[i] = text(row[i]) end
  return row
end

local function image_ids(job_id)
  local ids = {}
  for id in string.gmatch(text(call('HGET', K.job(job_id), 'image_ids')), '%S+') do ids[#ids + 1] = id end
  return ids
end

-- Appends one event to the job's stream and to its owner's, and publishes the owner's notification. The stream id is
-- the job's version, so a reader sees a gap by counting. A deleted job has no events.
local function emit(job_id, kind, body)
  local job = K.job(job_id)
  local version = call('HINCRBY', job, 'version', 1)
  local row = call('HMGET', job, 'owner', 'total', 'deleted')
  if text(row[3]) == '1' then return version end
  local data = cmsgpack.pack(body)
  local owner = row[1]
  call('XADD', K.job_events(job_id), 'MAXLEN', '~', math.max(1000, 40 * num(row[2])),
    version .. '-0', 'k', kind, 'd', data)
  local seq = call('INCR', K.owner_seq(owner))
  call('XADD', K.owner_events(owner), 'MAXLEN', '~', OWNER_HISTORY, seq .. '-0', 'j', job_id, 'v', version)
  call('PEXPIRE', K.owner_seq(owner), FLEET_TTL)
  call('PEXPIRE', K.owner_events(owner), FLEET_TTL)
  call('PUBLISH', channel('bell:' .. owner), cmsgpack.pack({job_id, version, seq, kind, data}))
  return version
end

-- Cuts a row for an event to the length that readers of the data version accept.
local function event_row(row, lengths)
  for i = #row, lengths[data_version()] + 1, -1 do row[i] = nil end
  return row
end

-- An image's event: {time, why the job waits, counts, the image's row}.
local function emit_image(job_id, image_id, at)
  call('HSET', K.job(job_id), 'updated_at', at)
  local waiting = text(call('HGET', K.job(job_id), 'waiting_for'))
  return emit(job_id, 'image', {at, waiting, counts_of(job_id), event_row(image_row(image_id), EVENT_IMAGE_FIELDS)})
end

-- A job's last event: {time, job row, image rows}. It holds the whole document, so that a later reader sees what was
-- true at this moment.
local function emit_complete(job_id, at)
  local rows = {}
  for i, id in ipairs(image_ids(job_id)) do rows[i] = event_row(image_row(id), EVENT_IMAGE_FIELDS) end
  return emit(job_id, 'complete', {at, event_row(job_row(job_id), EVENT_JOB_FIELDS), rows})
end
