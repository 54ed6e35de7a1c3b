-- The life cycle of jobs and images: a job opens and closes, an image moves. Needs accounts.lua, queue.lua, fetches.lua
-- and fal_deletions.lua.

local function expire_job(job_id, ttl)
  call('PEXPIRE', K.job(job_id), ttl)
  call('PEXPIRE', K.job_events(job_id), ttl)
  call('PEXPIRE', K.deliveries(job_id), ttl)
end

local function expire_images(job_id, ttl)
  for _, id in ipairs(image_ids(job_id)) do call('PEXPIRE', K.image(id), ttl) end
end

-- Whether the images' TTL, which began as UNFINISHED_TTL and is renewed while the job runs, lasts for `ttl`. They are erased
-- when the job expires, so a longer one does no harm.
local function images_last(job_id, ttl, at)
  return ttl < UNFINISHED_TTL / 2 and at - num(call('HGET', K.job(job_id), 'created_at')) < UNFINISHED_TTL / 2
end

local function open_job(job_id, owner, at)
  call('ZADD', K.unfinished(), at, job_id)
  call('PEXPIRE', K.unfinished(), FLEET_TTL)
  call('SADD', K.owner_active(owner), job_id)
  call('PEXPIRE', K.owner_active(owner), FLEET_TTL)
  keep_owner_history(owner)
end

-- The last image is final: the job ends, its TTL starts now, and a task finishes the batch.
local function close_job(job_id, at)
  local job = K.job(job_id)
  local row = call('HMGET', job, 'owner', 'ttl_ms')
  local ttl = num(row[2])
  call('HSET', job, 'finished_at', at, 'expires_at', at + ttl, 'updated_at', at, 'waiting_for', '')
  call('ZREM', K.unfinished(), job_id)
  call('ZADD', K.ended(), at + ttl, job_id)
  call('PEXPIRE', K.ended(), FLEET_TTL)
  call('SREM', K.owner_active(row[1]), job_id)
  local version = emit_complete(job_id, at)
  keep_owner_history(row[1])
  expire_job(job_id, ttl + GRACE_TTL)
  if not images_last(job_id, ttl + GRACE_TTL, at) then expire_images(job_id, ttl + GRACE_TTL) end
  enqueue(BATCH, 'finish:' .. job_id .. ':' .. version, 'finish_batch', job_id, at, at)
end

-- An image of a finished job runs again.
local function reopen_job(job_id, at)
  local job = K.job(job_id)
  if text(call('HGET', job, 'finished_at')) == '' then return end
  keep_completion(job_id)
  call('HSET', job, 'finished_at', '', 'expires_at', '', 'cancel_requested', '')
  call('ZREM', K.ended(), job_id)
  call('ZREM', K.unsettled(), job_id)
  call('HDEL', job, 'settled')
  open_job(job_id, call('HGET', job, 'owner'), at)
  expire_job(job_id, UNFINISHED_TTL)
  expire_images(job_id, UNFINISHED_TTL)
end

-- Dead letters: the images that have failed, by when. The oldest are removed once their hashes are gone.
local function add_dead_letter(image_id, at)
  for _, id in ipairs(call('ZRANGE', K.dead(), 0, 1)) do
    if call('EXISTS', K.image(id)) == 0 then call('ZREM', K.dead(), id) end
  end
  call('ZADD', K.dead(), at, image_id)
  call('PEXPIRE', K.dead(), FLEET_TTL)
end

-- The mark of a healthy image while it is prepared, until its permit, and while its result is stored: it decodes and
-- measures then, and a mark of its own for each such step would be two calls more. A suspect marks its steps itself.
local function hazard_of(image_id)
  return num(call('HGET', K.image(image_id), 'hazard_deaths')) == 0 and 'shared' or ''
end

-- What a move reads of its image.
local MOVE_FIELDS = {'job_id', 'waited', 'running_at', 'digest', unpack(IMAGE_FIELDS)}

-- Writes `fields` (a flat list) and moves the image to status `to`; the same status again only writes. Updates the
-- job's counts, the owner's account and the queue, and emits the event. Returns false where the move is illegal.
local function move(image_id, to, fields, at)
  local image = K.image(image_id)
  buffer_image(image_id)
  local found = call('HMGET', image, unpack(MOVE_FIELDS))
  local before = {}
  for i, name in ipairs(MOVE_FIELDS) do before[name] = text(found[i]) end
  local from, job_id = before.status, before.job_id
  if from == '' then return false end
  if from ~= to and not LEGAL[from .. '>' .. to] then return false end
  -- before anything is written: what the job's last event shows is kept
  if FINISHED[from] and from ~= to then reopen_job(job_id, at) end

  local changes, after = {unpack(fields)}, {}
  for i = 1, #fields, 2 do after[fields[i]] = tostring(fields[i + 1]) end
  local function change(field, value)
    changes[#changes + 1] = field
    changes[#changes + 1] = value
    after[field] = tostring(value)
  end
  local function current(field) return after[field] or before[field] end
  if from == to then
    if to == 'submitted' then change('waited', 1) end
  else
    change('status', to)
    -- I2M_TASK_TIMEOUT starts once, whichever worker follows the request
    if to == 'generating' and current('running_at') == '' then change('running_at', at) end
    if to == 'storing' then change('hazard', hazard_of(image_id)) end
    if FINISHED[to] then
      change('finished_at', at)
      if text(call('HGET', image, 'hazard')) ~= '' then change('hazard', '') end
      change('queue_position', '')
      change('fence', '')
      -- a success without a booking was free
      if to == 'succeeded' and before.cost_micro == '' then change('cost_micro', 0) end
    end
  end
  if #changes > 0 then call('HSET', image, unpack(changes)) end
  local row = {}
  for i, name in ipairs(IMAGE_FIELDS) do row[i] = current(name) end

  if from == to then
    emit_image(job_id, image_id, at, row)
    return true
  end
  update_account(image_id, from, to, at)
  if from == 'failed' then call('ZREM', K.dead(), image_id) end
  if to == 'failed' then add_dead_letter(image_id, at) end
  note_move(image_id, from, to, before.waited ~= '', at)
  if to == 'storing' then release_permit(image_id, AT_FAL[from]) end
  if FINISHED[to] then
    -- final and out of the queue in one step, so that a retry can queue it again
    -- also while it was stored: a request whose id came late has taken a permit again
    release_permit(image_id, AT_FAL[from] or from == 'storing')
    dequeue(GENERATION, image_id, from ~= 'queued')
    if to == 'cancelled' then leave_fetch(image_id) end
    local digest = current('digest')
    if digest ~= '' then
      local leader = call('GET', K.reuse(digest))
      -- the newest success expires last, so it is the one to reuse; it has led since it was picked
      if to == 'succeeded' and leader ~= image_id then
        call('SET', K.reuse(digest), image_id, 'PX', FLEET_TTL)
        leader = image_id
      end
      if leader == image_id then release_reuse_waiters(digest) end
    end
  end
  local counts = emit_image(job_id, image_id, at, row, from, to, ADVANCING[to] and '' or nil)
  if FINISHED[to] then leave_fal(image_id, job_id, to, at) end
  if FINISHED[to] and total_in(counts, UNFINISHED) == 0 then close_job(job_id, at) end
  return true
end

-- Counts an unexpected error, once for each run (`token`); returns how many there were in this attempt. The count is
-- kept with the attempt's number, since the next attempt starts from zero.
local function count_unexpected(image_id, token)
  local image = K.image(image_id)
  local row = call('HMGET', image, 'attempt', 'unexpected_attempt', 'unexpected_count', 'unexpected_by')
  local count = text(row[2]) == text(row[1]) and num(row[3]) or 0
  if count > 0 and text(row[4]) == token then return count end
  call('HSET', image, 'unexpected_attempt', text(row[1]), 'unexpected_count', count + 1, 'unexpected_by', token)
  return count + 1
end

-- Increments a field that the next attempt clears: a cleared field is empty, which HINCRBY refuses.
local function count_up(image_id, field)
  local count = num(call('HGET', K.image(image_id), field)) + 1
  call('HSET', K.image(image_id), field, count)
  return count
end

-- Whether this token is the image's fence: its worker still holds the lease.
local function holds_fence(image_id, fence)
  return fence ~= '' and call('HGET', K.image(image_id), 'fence') == fence
end

-- Whether FAL has, or may have, a request for this image: it is followed, never started again.
local function sent(image_id)
  local row = call('HMGET', K.image(image_id), 'request_id', 'posting_at')
  return text(row[1]) ~= '' or text(row[2]) ~= ''
end
