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

-- Renews the keys of an owner's history.
local function keep_owner_history(owner)
  call('PEXPIRE', K.owner_seq(owner), FLEET_TTL)
  call('PEXPIRE', K.owner_events(owner), FLEET_TTL)
end

-- What an event needs of its job. The counts come last.
local EVENT_HEAD = {'version', 'owner', 'total', 'deleted', 'waiting_for', unpack(COUNT_FIELDS)}

-- Appends one event to the job's stream and to its owner's, and publishes the owner's notification. The stream id is
-- the job's version, so a reader sees a gap by counting. `body` is published; `form` and `stored` are what the stream
-- keeps, see `event_body`. A deleted job has no events. Returns the owner's sequence number.
local function append_event(job_id, head, version, kind, body, form, stored)
  if text(head[4]) == '1' then return nil end
  local data, owner = cmsgpack.pack(body), head[2]
  local fields, place = {'k', kind, 'd', data}, {'j', job_id, 'v', version}
  if data_version() >= 5 then fields, place = {form, cmsgpack.pack(stored)}, {job_id, version} end
  local most = math.max(1000, 40 * num(head[3]))
  if version > most then
    call('XADD', K.job_events(job_id), 'MAXLEN', '~', most, version .. '-0', unpack(fields))
  else
    call('XADD', K.job_events(job_id), version .. '-0', unpack(fields))
  end
  local seq = call('INCR', K.owner_seq(owner))
  if seq > OWNER_HISTORY then
    call('XADD', K.owner_events(owner), 'MAXLEN', '~', OWNER_HISTORY, seq .. '-0', unpack(place))
  else
    call('XADD', K.owner_events(owner), seq .. '-0', unpack(place))
  end
  -- later `open_job` and `close_job` renew them
  if seq == 1 then keep_owner_history(owner) end
  call('PUBLISH', channel('bell:' .. owner), cmsgpack.pack({job_id, version, seq, kind, data}))
  return seq
end

-- Cuts a row for an event to the length that readers of the data version accept.
local function event_row(row, lengths)
  for i = #row, lengths[data_version()] + 1, -1 do row[i] = nil end
  return row
end

-- From data version 5 on, a job's stream keeps of an event only what the rows cannot say later. Its entries have one
-- field, whose name is the form:
--   image     the whole body, as up to version 4
--   changed   {time, why the job waits, counts, the image's index, its CHANGING_FIELDS}: the other fields never change
--   complete  {time}: the rows say the rest until they change, and then the job's hash does, see `keep_completion`

local function changing_values(row)
  local values, last = {}, 0
  for i, place in ipairs(CHANGING_FIELDS) do
    values[i] = row[place]
    if values[i] ~= '' then last = i end
  end
  for i = #values, last + 1, -1 do values[i] = nil end
  return values
end

-- Writes an image's event: {time, why the job waits, counts, the image's row}. `row` is the image's; a move counts the
-- image `from` one status `to` another; `waiting` is why the job waits from now on. Returns the job's counts.
local function emit_image(job_id, image_id, at, row, from, to, waiting)
  row = row or image_row(image_id)
  local head = call('HMGET', K.job(job_id), unpack(EVENT_HEAD))
  local version, counts = num(head[1]) + 1, numbers({unpack(head, 6)})
  local changes = {'version', version, 'updated_at', at}
  local function change(field, value)
    changes[#changes + 1] = field
    changes[#changes + 1] = value
  end
  for i, status in ipairs(STATUSES) do
    local before = counts[i]
    if status == from then counts[i] = counts[i] - 1 end
    if status == to then counts[i] = counts[i] + 1 end
    if counts[i] ~= before then change(COUNT_FIELDS[i], counts[i]) end
  end
  if waiting and waiting ~= text(head[5]) then change('waiting_for', waiting) end
  waiting = waiting or text(head[5])
  call('HSET', K.job(job_id), unpack(changes))
  local body = {at, waiting, counts, event_row(row, EVENT_IMAGE_FIELDS)}
  -- until it is fetched, a picture that came as an address has no size, hash and views
  if row[IMAGE_PLACES.addressed] == '1' then
    append_event(job_id, head, version, 'image', body, 'image', body)
  else
    local stored = {at, waiting, counts, num(row[IMAGE_PLACES.index]), changing_values(row)}
    append_event(job_id, head, version, 'image', body, 'changed', stored)
  end
  return counts
end

-- A job's last event: {time, job row, image rows}, the whole document.
local function completion_of(job_id, at)
  local rows = {}
  for i, id in ipairs(image_ids(job_id)) do rows[i] = event_row(image_row(id), EVENT_IMAGE_FIELDS) end
  return {at, event_row(job_row(job_id), EVENT_JOB_FIELDS), rows}
end

-- Writes it. `ended_seq` is its place in the owner's history. Later the job is settled (settle_jobs.lua). Returns the
-- job's version.
local function emit_complete(job_id, at)
  local job = K.job(job_id)
  local version, head = call('HINCRBY', job, 'version', 1), call('HMGET', job, unpack(EVENT_HEAD))
  local seq = append_event(job_id, head, version, 'complete', completion_of(job_id, at), 'complete', {at})
  if seq and data_version() >= 5 then
    call('HSET', job, 'ended_seq', seq)
    call('ZADD', K.unsettled(), at, job_id)
    call('PEXPIRE', K.unsettled(), FLEET_TTL)
  end
  return version
end

-- A finished job, or one of its images, is about to change. Its last event shows what was true at that moment, so that is
-- kept, for streams that are behind and for webhooks.
local function keep_completion(job_id)
  local row = call('HMGET', K.job(job_id), 'finished_at', 'version', 'updated_at')
  if text(row[1]) == '' or data_version() < 5 then return end
  call('HSET', K.job(job_id), 'completion:' .. row[2], cmsgpack.pack(completion_of(job_id, num(row[3]))))
end

local function forget_completions(job_id)
  for _, name in ipairs(call('HKEYS', K.job(job_id))) do
    if string.sub(name, 1, 11) == 'completion:' then call('HDEL', K.job(job_id), name) end
  end
end

-- {kind, body} of one entry of a job's stream, packed as notifications are; `fields` is the entry's flat list. `rows`
-- are the rows that were read already, by id.
local function event_body(job_id, version, fields, rows)
  if fields[1] == 'k' then return fields[2], fields[4] end
  local stored = cmsgpack.unpack(fields[2])
  if fields[1] == 'image' then return 'image', fields[2] end
  if fields[1] == 'complete' then
    local kept = call('HGET', K.job(job_id), 'completion:' .. version)
    return 'complete', kept or cmsgpack.pack(completion_of(job_id, stored[1]))
  end
  rows[job_id] = rows[job_id] or image_ids(job_id)
  local id = rows[job_id][stored[4] + 1]
  rows[id] = rows[id] or image_row(id)
  local row = {unpack(rows[id])}
  for i, place in ipairs(CHANGING_FIELDS) do row[place] = stored[5][i] or '' end
  return 'image', cmsgpack.pack({stored[1], stored[2], stored[3], row})
end

-- A settled job has no stream: its last event, whose version is in `settled`, is in the rows alone.
local function settled_version(job_id) return num(call('HGET', K.job(job_id), 'settled')) end

-- {kind, body} of the event of a version, as `event_body` returns them; nothing where the history does not reach back.
local function event_at(job_id, version, rows)
  local found = call('XRANGE', K.job_events(job_id), version .. '-0', version .. '-0')[1]
  if found then return event_body(job_id, version, found[2], rows) end
  local row = call('HMGET', K.job(job_id), 'completion:' .. version, 'settled', 'updated_at')
  if row[1] then return 'complete', row[1] end
  if num(row[2]) == num(version) then return 'complete', cmsgpack.pack(completion_of(job_id, num(row[3]))) end
end
