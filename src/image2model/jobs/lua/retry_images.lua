-- Runs failed images again. {job_id, {image ids} or false, params json or false, low, unit_micro or false, allowance or false,
-- {[image id] = {params json, seed or ''}}}: the last ones are for variants, which have a seed of their own.
-- `unit_micro`: micro-dollars set aside for each; without it the same as before. `allowance`: see `admission_refusal`. A retry
-- counts for the address that requests it: the upload's address was forgotten when the image ended, and the
-- requester is the one that fills the queue. A replay by an admin has no allowance and counts for no address.
-- An image that ended with `unexpected_error` after FAL accepted it continues with the same request, which is paid
-- for, unless its parameters change.
-- What earlier attempts have cost stays booked, and what may yet be billed for them stays set aside.
-- An image that failed in a phase of its preparation goes on in it: what it has prepared is kept.
-- Returns {{image ids}}, {{}, {reason, ...}}, or nothing when there is no such job.
local job_id, requested, params, low, unit, allowance, own = unpack(cmsgpack.unpack(ARGV[1]))
local job, at, retried = call('HMGET', K.job(job_id), 'owner', 'deleted'), now_ms(), {}
local owner = job[1]
if not owner or text(job[2]) == '1' then return false end
local chosen = {}
for _, id in ipairs(requested or image_ids(job_id)) do chosen[id] = true end

-- Whether the image continues with its request, and whether that is booked: then nothing is set aside for it.
local function keeps_request(id)
  local row = call('HMGET', K.image(id), 'request_id', 'error', 'attempt_token')
  if params or text(row[1]) == '' or text(row[2]) == '' then return false end
  if cjson.decode(row[2]).code ~= 'unexpected_error' then return false end
  return true, booking_of(bookings_of(id), row[1], text(row[3])) ~= nil
end

-- What the image needs from here on: its next attempt, and what comes later; with `unit` another price of the model's run.
local function prices(id)
  local image = call('HMGET', K.image(id), 'unit_micro', 'later_micro', 'main_micro')
  local whole, later = num(image[1]), num(image[2])
  if unit then
    local change = unit - (image[3] and num(image[3]) or whole)
    whole = whole + change
    if later > 0 then later = later + change end
  end
  return whole, later
end

local count, micro, keeps, paid = 0, 0, {}, {}
for _, id in ipairs(image_ids(job_id)) do
  chosen[id] = chosen[id] and call('HGET', K.image(id), 'status') == 'failed'
  if chosen[id] then
    keeps[id], paid[id] = keeps_request(id)
    local whole, later = prices(id)
    count, micro = count + 1, micro + (paid[id] and later or whole)
  end
end
local refused = count > 0 and admission_refusal(owner, allowance, count, micro, at)
if refused then return cmsgpack.pack({{}, refused}) end

for _, id in ipairs(image_ids(job_id)) do
  if chosen[id] then
    local kept, request_id = keeps[id], call('HGET', K.image(id), 'request_id')
    local whole, later = prices(id)
    if unit then
      call('HSET', K.image(id), 'unit_micro', whole)
      if later > 0 then call('HSET', K.image(id), 'later_micro', later) end
      if call('HEXISTS', K.image(id), 'main_micro') == 1 then call('HSET', K.image(id), 'main_micro', unit) end
    end
    local fields = {'attempt', num(call('HGET', K.image(id), 'attempt')) + 1, 'attempts_used', 0, 'start_tries', 0, 'first_try_at', '', 'endpoint_since', '', 'endpoint_turn', '', 'error', '', 'result', '',
      'finished_at', '', 'started_at', '', 'running_at', '', 'fence', '', 'cancel_requested', ''}
    call('HDEL', K.image(id), 'confirm_by')
    for _, name in ipairs(kept and {} or ATTEMPT_FIELDS) do
      fields[#fields + 1] = name
      fields[#fields + 1] = ''
    end
    if params then
      -- other parameters make another content
      local phase = text(call('HGET', K.image(id), 'phase'))
      fields[#fields + 1] = phase == '' and 'digest' or 'main_digest'
      fields[#fields + 1] = ''
      fields[#fields + 1] = 'params'
      fields[#fields + 1] = own[id] and own[id][1] or params
      if own[id] then
        fields[#fields + 1] = 'seed'
        fields[#fields + 1] = own[id][2]
      end
    end
    if kept then note_model(id) end
    move(id, kept and 'submitted' or 'queued', fields, at)
    if not kept then delete_at_fal(request_id, at) end
    if paid[id] then release_reservation(id, owner, whole - later) end
    note_budget(id, allowance)
    count_at_address(id, allowance)
    if kept then
      call('ZADD', K.permits(), 'NX', at, id)
      call('PEXPIRE', K.permits(), FLEET_TTL)
    end
    enqueue_image(id, kept and FOLLOW_NOW or next_start_tag(owner, low), at)
    retried[#retried + 1] = id
  end
end
return cmsgpack.pack({retried})
