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

-- The ids of an owner's stream: the sum of both parts is the event's number. Up to data version 5 the second part is 0 and
-- `owner_seq` counts; from 6 on the store counts it up, behind the first part that it finds.
local function number_of(id)
  local first, second = string.match(id, '^(%d+)%-(%d+)$')
  return first + second
end

-- The first part of the next id of an owner's stream.
local function owner_base(owner)
  local info = redis.pcall('XINFO', 'STREAM', K.owner_events(owner))
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then return string.match(info[i + 1], '^%d+') end
  end
  return '0'
end

-- Renews the keys of an owner's history.
local function keep_owner_history(owner)
  call('PEXPIRE', K.owner_seq(owner), FLEET_TTL)
  call('PEXPIRE', K.owner_events(owner), FLEET_TTL)
end

-- From data version 5 on, a job's stream keeps of an event only what the rows cannot say. An entry has one field:
--   image     the whole body, as up to version 4, of an image that came as an address
--   changed   in version 5: {time, why the job waits, counts, the image's index, its CHANGING_FIELDS}
--   a number  from version 6 on: so many events of images, one behind the other: {time, why the job waits, counts, the image's index, its
--             edition, STATUSES' place, position in FAL's queue, which of its CHANGING_FIELDS it had}
--   complete  {time}: the rows say the rest until they change, and then the job's hash does, see `keep_completion`
-- Its id is the version of its last event. An edition of an image is what its fields say until one of them is overwritten:
-- then the image's hash keeps them (`edition:N`), so that events of before show what was true.

local EDITED = {}
for _, place in ipairs(CHANGING_FIELDS) do EDITED[IMAGE_FIELDS[place]] = true end
EDITED.status, EDITED.queue_position = nil, nil

-- Keeps the present edition of an image, once between two events: `name` is about to be overwritten.
local function keep_edition(hash, name)
  if hash.kept or not EDITED[name] or data_version() < 6 then return end
  hash.kept = true
  local values, edition = {}, num(hash.values.edition)
  for i, place in ipairs(CHANGING_FIELDS) do values[i] = text(hash.values[IMAGE_FIELDS[place]]) end
  call('HSET', hash.key, 'edition:' .. edition, cmsgpack.pack(values), 'edition', edition + 1)
end

-- What a move of an image reads of it and of its job. Also whatever overwrites CHANGING_FIELDS calls it first.
local function buffer_image(image_id)
  local image = K.image(image_id)
  if buffered[image] then return end
  buffer_hash(image, MOVED_IMAGE_FIELDS)
  buffered[image].before_change = keep_edition
  local job_id = call('HGET', image, 'job_id')
  if job_id and not buffered[K.job(job_id)] then buffer_hash(K.job(job_id), MOVED_JOB_FIELDS) end
  if job_id then adopt_identity(call('HGET', K.job(job_id), 'store')) end
end

-- What an event needs of its job. The counts come last.
local EVENT_HEAD = {'version', 'owner', 'total', 'deleted', 'waiting_for', 'owner_base', unpack(COUNT_FIELDS)}

local emitted = {}
-- Events of one entry: a reader gets all of them.
local MOST_TOGETHER = 50

-- Appends one event to the job's stream and to its owner's, and publishes it, when the script ends (`write_events`).
-- `body` is published; `form` and `stored` are what the stream keeps. A deleted job has no events.
local function append_event(job_id, head, version, kind, body, form, stored)
  if text(head[4]) == '1' then return nil end
  local event = {job_id = job_id, owner = head[2], total = num(head[3]), base = head[6], version = version, kind = kind,
    data = cmsgpack.pack(body), form = form, stored = stored and cmsgpack.pack(stored)}
  emitted[#emitted + 1] = event
  return event
end

-- How many of the events from the `first` on are one entry in both streams.
local function count_together(first)
  local event, count = emitted[first], 1
  while event.form == 'changed' and count < MOST_TOGETHER do
    local other = emitted[first + count]
    if not other or other.job_id ~= event.job_id or other.form ~= 'changed' then break end
    count = count + 1
  end
  return count
end

local function add_entry(stream, most, last, fields)
  if last > most then
    call('XADD', stream, 'MAXLEN', '~', most, last .. '-0', unpack(fields))
  else
    call('XADD', stream, last .. '-0', unpack(fields))
  end
end

-- Adds an entry to the owner's stream and returns its id. A job knows the first part since it was made; one that was made
-- before, or whose owner's stream has begun anew since, asks for it.
local function add_owner_entry(event, version)
  local stream = K.owner_events(event.owner)
  local id = event.base and redis.pcall('XADD', stream, event.base .. '-*', event.job_id, version)
  if type(id) ~= 'string' then
    id = call('XADD', stream, owner_base(event.owner) .. '-*', event.job_id, version)
  end
  -- the first one; later `open_job` and `close_job` renew the TTL
  if id == '0-1' or string.sub(id, -2) == '-0' then keep_owner_history(event.owner) end
  return id
end

-- The same for several events, whose entry has the id of the last one. Returns that id.
local function add_owner_entries(event, last_version, count)
  local id = add_owner_entry(event, event.version)
  if count == 1 then return id end
  local first, second = string.match(id, '^(%d+)%-(%d+)$')
  local version = count == 2 and last_version or last_version .. ':' .. count - 1
  return call('XADD', K.owner_events(event.owner), first .. '-' .. second + count - 1, event.job_id, version)
end

-- As up to data version 5: one entry for each event. Returns its id.
local function add_old_entries(event)
  local fields, place = {'k', event.kind, 'd', event.data}, {'j', event.job_id, 'v', event.version}
  if data_version() == 5 then fields, place = {event.form, event.stored}, {event.job_id, event.version} end
  add_entry(K.job_events(event.job_id), math.max(1000, 40 * event.total), event.version, fields)
  local seq = call('INCR', K.owner_seq(event.owner))
  add_entry(K.owner_events(event.owner), OWNER_HISTORY, seq, place)
  if seq == 1 then keep_owner_history(event.owner) end
  if event.kind == 'complete' and data_version() == 5 then call('HSET', K.job(event.job_id), 'ended_seq', seq) end
  return seq .. '-0'
end

local function add_entries(first, count)
  local event, last, stored = emitted[first], emitted[first + count - 1], {}
  for i = 1, count do stored[i] = emitted[first + i - 1].stored end
  add_entry(K.job_events(event.job_id), math.max(1000, 40 * event.total), last.version,
    {event.form == 'changed' and tostring(count) or event.form, table.concat(stored)})
  local id = add_owner_entries(event, last.version, count)
  if event.kind == 'complete' then
    call('XTRIM', K.owner_events(event.owner), 'MAXLEN', '~', OWNER_HISTORY)
    -- to which the owner's history is cut when the job is settled
    call('HSET', K.job(event.job_id), 'ended_entry', id)
  end
  return id
end

-- Writes what the script has emitted. An owner's entry names the job and the version of its last event, and behind a colon
-- how many events it stands for, if they are several.
local function write_events()
  local old, first = #emitted > 0 and data_version() < 6, 1
  while first <= #emitted do
    local event, count = emitted[first], old and 1 or count_together(first)
    local id = old and add_old_entries(event) or add_entries(first, count)
    local number = number_of(id)
    for i = 1, count do
      local one = emitted[first + i - 1]
      call('PUBLISH', channel('bell:' .. one.owner),
        cmsgpack.pack({one.job_id, one.version, number - count + i, one.kind, one.data}))
    end
    first = first + count
  end
end

-- Cuts a row for an event to the length that readers of the data version accept.
local function event_row(row, lengths)
  for i = #row, lengths[data_version()] + 1, -1 do row[i] = nil end
  return row
end

-- The values of CHANGING_FIELDS in an image's row, without the empty ones at the end.
local function changing_values(row)
  local values, last = {}, 0
  for i, place in ipairs(CHANGING_FIELDS) do
    values[i] = row[place]
    if values[i] ~= '' then last = i end
  end
  for i = #values, last + 1, -1 do values[i] = nil end
  return values
end

-- What is stored of an image's event: `row` is the image's.
local function changed_event(image_id, at, waiting, counts, row)
  if data_version() < 6 then return {at, waiting, counts, num(row[IMAGE_PLACES.index]), changing_values(row)} end
  local status, has = 0, 0
  for i, name in ipairs(STATUSES) do if name == row[IMAGE_PLACES.status] then status = i end end
  for i, place in ipairs(CHANGING_FIELDS) do if row[place] ~= '' then has = has + 2 ^ (i - 1) end end
  local position = row[IMAGE_PLACES.queue_position]
  return {at, waiting, counts, num(row[IMAGE_PLACES.index]), num(call('HGET', K.image(image_id), 'edition')), status,
    tonumber(position) or position, has}
end

-- Writes an image's event: {time, why the job waits, counts, the image's row}. `row` is the image's; a move counts the
-- image `from` one status `to` another; `waiting` is why the job waits from now on. Returns the job's counts.
local function emit_image(job_id, image_id, at, row, from, to, waiting)
  row = row or image_row(image_id)
  local head = call('HMGET', K.job(job_id), unpack(EVENT_HEAD))
  local version, counts = num(head[1]) + 1, numbers({unpack(head, 7)})
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
    append_event(job_id, head, version, 'image', body, 'changed', changed_event(image_id, at, waiting, counts, row))
  end
  local hash = buffered[K.image(image_id)]
  if hash then hash.kept = false end
  return counts
end

-- A job's last event: {time, job row, image rows}, the whole document.
local function completion_of(job_id, at)
  local rows = {}
  for i, id in ipairs(image_ids(job_id)) do rows[i] = event_row(image_row(id), EVENT_IMAGE_FIELDS) end
  return {at, event_row(job_row(job_id), EVENT_JOB_FIELDS), rows}
end

-- Writes it. Later the job is settled (settle_jobs.lua). Returns the job's version.
local function emit_complete(job_id, at)
  local job = K.job(job_id)
  local version, head = call('HINCRBY', job, 'version', 1), call('HMGET', job, unpack(EVENT_HEAD))
  local event = append_event(job_id, head, version, 'complete', completion_of(job_id, at), 'complete', {at})
  if event and data_version() >= 5 then
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

-- The fields of an image as they were in an edition of it.
local function edition_of(image_id, edition, rows)
  if not rows[image_id] then rows[image_id] = {image_row(image_id), num(call('HGET', K.image(image_id), 'edition'))} end
  local row, present = {unpack(rows[image_id][1])}, rows[image_id][2]
  local kept = edition < present and call('HGET', K.image(image_id), 'edition:' .. edition)
  if kept then
    for i, value in ipairs(cmsgpack.unpack(kept)) do row[CHANGING_FIELDS[i]] = value end
  end
  return row
end

-- The body of an event that `changed_event` made.
local function changed_body(job_id, stored, rows)
  local at, waiting, counts, index, edition, status, position, has = unpack(stored)
  rows[job_id] = rows[job_id] or image_ids(job_id)
  local row = edition_of(rows[job_id][index + 1], edition, rows)
  for i, place in ipairs(CHANGING_FIELDS) do
    if math.floor(has / 2 ^ (i - 1)) % 2 == 0 then row[place] = '' end
  end
  row[IMAGE_PLACES.status], row[IMAGE_PLACES.queue_position] = STATUSES[status], tostring(position)
  return cmsgpack.pack({at, waiting, counts, row})
end

-- The same of data version 5.
local function old_changed_body(job_id, stored, rows)
  local at, waiting, counts, index, values = unpack(stored)
  rows[job_id] = rows[job_id] or image_ids(job_id)
  local row = edition_of(rows[job_id][index + 1], 0, rows)
  for i, place in ipairs(CHANGING_FIELDS) do row[place] = values[i] or '' end
  return cmsgpack.pack({at, waiting, counts, row})
end

-- The events of one entry of a job's stream, {{version, kind, body}, ...}, packed as notifications are. `last` is the
-- entry's id, `fields` its flat list; `rows` are the rows that were read already, by id.
local function entry_events(job_id, last, fields, rows)
  local form, stored = unpack(fields)
  if form == 'k' then return {{last, stored, fields[4]}} end
  if form == 'image' then return {{last, 'image', stored}} end
  if form == 'complete' then
    local kept = call('HGET', K.job(job_id), 'completion:' .. last)
    return {{last, 'complete', kept or cmsgpack.pack(completion_of(job_id, cmsgpack.unpack(stored)[1]))}}
  end
  if form == 'changed' then
    return {{last, 'image', old_changed_body(job_id, cmsgpack.unpack(stored), rows)}}
  end
  local found, count = {cmsgpack.unpack(stored)}, tonumber(form)
  for i, one in ipairs(found) do found[i] = {last - count + i, 'image', changed_body(job_id, one, rows)} end
  return found
end

-- Up to `limit` events of a job with a version above `after`, and the others of the last one's entry.
local function events_after(job_id, after, limit, rows)
  local found = {}
  for _, entry in ipairs(call('XRANGE', K.job_events(job_id), '(' .. after .. '-0', '+', 'COUNT', limit)) do
    for _, event in ipairs(entry_events(job_id, tonumber(string.match(entry[1], '^%d+')), entry[2], rows)) do
      if event[1] > after then found[#found + 1] = event end
    end
    if #found >= limit then break end
  end
  return found
end

-- A settled job has no stream: its last event, whose version is in `settled`, is in the rows alone.
local function settled_version(job_id) return num(call('HGET', K.job(job_id), 'settled')) end

-- {version, kind, body} of the event of a version, as `entry_events` has it; nothing where the history does not reach back.
local function event_at(job_id, version, rows)
  local found = events_after(job_id, version - 1, 1, rows)[1]
  if found and found[1] == version then return found end
  local row = call('HMGET', K.job(job_id), 'completion:' .. version, 'settled', 'updated_at')
  if row[1] then return {version, 'complete', row[1]} end
  if num(row[2]) == version then
    return {version, 'complete', cmsgpack.pack(completion_of(job_id, num(row[3])))}
  end
end
