-- Images and jobs: shared by all scripts, after base.lua and accounts.lua.

local function numbers(values)
  local all = {}
  for i, value in ipairs(values) do all[i] = num(value) end
  return all
end

local function counts_of(job_id) return numbers(call('HMGET', K.job(job_id), unpack(COUNT_FIELDS))) end

-- How many of `counts` are in the statuses of `set`.
local function among(counts, set)
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

-- Who may see a job, and in which version it is: {version, owner, deleted, expires_at, priority, updated_at}.
local function job_head(job_id)
  local head = call('HMGET', K.job(job_id), 'version', 'owner', 'deleted', 'expires_at', 'priority', 'updated_at')
  for i = 1, #head do head[i] = text(head[i]) end
  return head
end

local function image_ids(job_id)
  local ids = {}
  for id in string.gmatch(text(call('HGET', K.job(job_id), 'image_ids')), '%S+') do ids[#ids + 1] = id end
  return ids
end

-- Appends one event to the job's stream and to its owner's, and rings the owner's bell. The stream id
-- is the job's version, so a reader sees a gap by counting. A deleted job is silent.
local function emit(job_id, kind, body)
  local job = K.job(job_id)
  local version = call('HINCRBY', job, 'version', 1)
  local head = call('HMGET', job, 'owner', 'total', 'deleted')
  if text(head[3]) == '1' then return version end
  local data = cmsgpack.pack(body)
  local owner = head[1]
  call('XADD', K.job_events(job_id), 'MAXLEN', '~', math.max(1000, 40 * num(head[2])),
    version .. '-0', 'k', kind, 'd', data)
  local seq = call('INCR', K.owner_seq(owner))
  call('XADD', K.owner_events(owner), 'MAXLEN', '~', OWNER_HISTORY, seq .. '-0', 'j', job_id, 'v', version)
  call('PEXPIRE', K.owner_seq(owner), FLEET_TTL)
  call('PEXPIRE', K.owner_events(owner), FLEET_TTL)
  call('PUBLISH', channel('bell:' .. owner), cmsgpack.pack({job_id, version, seq, kind, data}))
  return version
end

-- A row as it goes into an event: no longer than what the version's readers take.
local function event_row(row, lengths)
  for i = #row, lengths[data_version()] + 1, -1 do row[i] = nil end
  return row
end

-- One image's event: time, why the job waits, counts, the image's row.
local function emit_image(job_id, image_id, at)
  call('HSET', K.job(job_id), 'updated_at', at)
  local waiting = text(call('HGET', K.job(job_id), 'waiting_for'))
  return emit(job_id, 'image', {at, waiting, counts_of(job_id), event_row(image_row(image_id), EVENT_IMAGE_FIELDS)})
end

-- The whole document as it is at this moment: a later reader must see what was true then.
local function emit_complete(job_id, at)
  local rows = {}
  for i, id in ipairs(image_ids(job_id)) do rows[i] = event_row(image_row(id), EVENT_IMAGE_FIELDS) end
  return emit(job_id, 'complete', {at, event_row(job_row(job_id), EVENT_JOB_FIELDS), rows})
end

-- Once in a script is enough: whoever hears it looks when all of the script has been done.
local rung = {}
local function ring(queue)
  if not rung[queue] then call('PUBLISH', channel('ready'), queue) end
  rung[queue] = true
end

-- Starts a task of ours: ARQ's job key and its place in the queue. A waiting one keeps its place. A function that
-- the version's workers may not know is postponed until they all do, for a worker drops what it does not know.
local function enqueue(queue, task_id, fn, arg, score, at)
  call('SET', ARQ_JOB .. task_id, cmsgpack.pack({fn, arg, at}), 'PX', UNFINISHED_TTL)
  if FUNCTION_SINCE[fn] and data_version() < FUNCTION_SINCE[fn] then return postpone(queue, task_id, fn, score) end
  call('ZADD', ARQ_QUEUE .. queue, score, task_id)
  ring(queue)
end

local function dequeue(queue, task_id)
  if queue == GENERATION and waits_for_endpoint(task_id) then leave_endpoint(task_id, model_of(task_id)) end
  call('ZREM', ARQ_QUEUE .. queue, task_id)
  call('ZREM', K.leases(queue), task_id)
  call('DEL', ARQ_JOB .. task_id, ARQ_RETRY .. task_id, ARQ_IN_PROGRESS .. task_id)
end

-- An image holds one of two places: ahead (it is being prepared) or a permit (FAL has it, or is about to).
local function release_permit(image_id)
  call('ZREM', K.ahead(), image_id)
  if call('ZREM', K.permits(), image_id) == 1 then ring(GENERATION) end
end

-- The next turn of an owner in the fair order: start tags of start-time fair queueing.
local function next_turn(owner, low)
  local turn = math.max(num(call('GET', K.turn())), num(call('GET', K.owner_turn(owner)))) + 1
  call('SET', K.owner_turn(owner), turn, 'PX', FLEET_TTL)
  if low then return LOW_TURN + turn end
  return FIRST_TURN + turn
end

local function expire_job(job_id, ttl)
  call('PEXPIRE', K.job(job_id), ttl)
  call('PEXPIRE', K.job_events(job_id), ttl)
  call('PEXPIRE', K.deliveries(job_id), ttl)
  for _, id in ipairs(image_ids(job_id)) do call('PEXPIRE', K.image(id), ttl) end
end

local function open_job(job_id, owner, at)
  call('ZADD', K.unfinished(), at, job_id)
  call('PEXPIRE', K.unfinished(), FLEET_TTL)
  call('SADD', K.owner_active(owner), job_id)
  call('PEXPIRE', K.owner_active(owner), FLEET_TTL)
  call('PEXPIRE', K.owner_jobs(owner), FLEET_TTL)
end

-- The last image is final: the job ends, its life is counted from now, and a task finishes the batch.
local function close_job(job_id, at)
  local job = K.job(job_id)
  local head = call('HMGET', job, 'owner', 'ttl_ms')
  local ttl = num(head[2])
  call('HSET', job, 'finished_at', at, 'expires_at', at + ttl, 'updated_at', at, 'waiting_for', '')
  call('ZREM', K.unfinished(), job_id)
  call('ZADD', K.ended(), at + ttl, job_id)
  call('PEXPIRE', K.ended(), FLEET_TTL)
  call('SREM', K.owner_active(head[1]), job_id)
  local version = emit_complete(job_id, at)
  expire_job(job_id, ttl + GRACE_TTL)
  enqueue(BATCH, 'finish:' .. job_id .. ':' .. version, 'finish_batch', job_id, at, at)
end

local function reopen_job(job_id, at)
  local job = K.job(job_id)
  if text(call('HGET', job, 'finished_at')) == '' then return end
  call('HSET', job, 'finished_at', '', 'expires_at', '', 'cancel_requested', '')
  call('ZREM', K.ended(), job_id)
  open_job(job_id, call('HGET', job, 'owner'), at)
  expire_job(job_id, UNFINISHED_TTL)
end

local function queue_paused(queue) return call('EXISTS', K.pause(queue)) == 1 end

-- A queue is paused for one reason or several. The time that generations stood still is added up, for
-- it does not count as trying.
local function pause_queue(queue, reason, at)
  if queue == GENERATION and not queue_paused(queue) then call('HSET', K.circuit(), 'paused_at', at) end
  call('HSETNX', K.pause(queue), reason, at)
  call('PEXPIRE', K.pause(queue), FLEET_TTL)
  call('PEXPIRE', K.circuit(), FLEET_TTL)
end

local function resume_queue(queue, reasons, at)
  if call('HDEL', K.pause(queue), unpack(reasons)) == 0 then return false end
  if not queue_paused(queue) then
    if queue == GENERATION then
      local since = num(call('HGET', K.circuit(), 'paused_at'))
      if since > 0 then call('HINCRBY', K.circuit(), 'stood_still_ms', at - since) end
    end
    ring(queue)
  end
  return true
end

-- All time in ms that generations stood still, up to now.
local function stood_still(at)
  local circuit = call('HMGET', K.circuit(), 'stood_still_ms', 'paused_at')
  local sum = num(circuit[1])
  if queue_paused(GENERATION) then sum = sum + at - num(circuit[2]) end
  return sum
end

-- What the circuit of the account and of FAL as a whole forgets when it closes.
local CIRCUIT_FIELDS = {'failures', 'probe_at', 'probe_gap', 'trial', 'tried', 'trial_image', 'inferred'}

-- FAL accepted a submit: neither it nor the account is at fault.
local function circuit_closes(at)
  call('HDEL', K.circuit(), unpack(CIRCUIT_FIELDS))
  resume_queue(GENERATION, {'account', 'fal'}, at)
end

-- One run serves all images of one content (`digest`). `reuse` names the image whose run or result it is.

-- Who leads a content, where that is another image, and its status. One that was retried with other parameters is
-- of another content by now: neither its run nor its result is this one's.
local function leader_of(digest, image_id)
  local leader = call('GET', K.reuse(digest))
  if not leader or leader == image_id then return nil end
  local head = call('HMGET', K.image(leader), 'status', 'digest')
  if head[2] ~= digest then return nil end
  return leader, head[1] or nil
end

-- Whose result an image may take: an image id, 'wait' while that one still runs, or nothing. With nothing
-- the image itself leads from now on.
local function reuse_source(digest, image_id)
  local leader, status = leader_of(digest, image_id)
  if status == 'succeeded' then return leader end
  if status and UNFINISHED[status] then return 'wait' end
  call('SET', K.reuse(digest), image_id, 'PX', FLEET_TTL)
  return nil
end

local function park(image_id, digest)
  call('ZADD', ARQ_QUEUE .. GENERATION, PARKED, image_id)
  call('SADD', K.reuse_waiting(digest), image_id)
  call('PEXPIRE', K.reuse_waiting(digest), FLEET_TTL)
end

-- The leader has ended: all that waited go to the front. After a success they take its result, else the
-- first that is picked leads and parks the rest again.
local function unpark(digest)
  local waiting = call('SMEMBERS', K.reuse_waiting(digest))
  for _, id in ipairs(waiting) do
    if call('ZSCORE', ARQ_QUEUE .. GENERATION, id) then call('ZADD', ARQ_QUEUE .. GENERATION, FRONT, id) end
  end
  call('DEL', K.reuse_waiting(digest))
  if #waiting > 0 then ring(GENERATION) end
end

-- Dead letters: the images that have failed, by when. The oldest are let go of once their hashes are gone.
local function bury(image_id, at)
  for _, id in ipairs(call('ZRANGE', K.dead(), 0, 1)) do
    if call('EXISTS', K.image(id)) == 0 then call('ZREM', K.dead(), id) end
  end
  call('ZADD', K.dead(), at, image_id)
  call('PEXPIRE', K.dead(), FLEET_TTL)
end

-- Writes `fields` (a flat list) and moves the image to `to`; the same status again only writes.
-- Returns false where the move is illegal.
local function move(image_id, to, fields, at)
  local image = K.image(image_id)
  local head = call('HMGET', image, 'status', 'job_id')
  local from, job_id = head[1], head[2]
  if not from then return false end
  if from ~= to and not LEGAL[from .. '>' .. to] then return false end
  if #fields > 0 then call('HSET', image, unpack(fields)) end
  settle(image_id, from, to, at)
  if from == to then
    emit_image(job_id, image_id, at)
    return true
  end
  if FINISHED[from] then reopen_job(job_id, at) end
  if from == 'failed' then call('ZREM', K.dead(), image_id) end
  if to == 'failed' then bury(image_id, at) end
  call('HSET', image, 'status', to)
  call('HINCRBY', K.job(job_id), 'n_' .. from, -1)
  call('HINCRBY', K.job(job_id), 'n_' .. to, 1)
  if to == 'storing' then release_permit(image_id) end
  -- the clock of I2M_TASK_TIMEOUT starts once, whoever follows
  if to == 'generating' and text(call('HGET', image, 'running_at')) == '' then call('HSET', image, 'running_at', at) end
  if ADVANCING[to] then call('HSET', K.job(job_id), 'waiting_for', '') end
  if FINISHED[to] then
    -- final and out of the queue in one step, so that a retry finds the place free
    call('HSET', image, 'finished_at', at, 'queue_position', '', 'fence', '')
    -- what has succeeded without a booking was for nothing
    if to == 'succeeded' and text(call('HGET', image, 'cost_micro')) == '' then call('HSET', image, 'cost_micro', 0) end
    release_permit(image_id)
    dequeue(GENERATION, image_id)
    local digest = text(call('HGET', image, 'digest'))
    if digest ~= '' then
      -- the newest success lives longest, so it is the one to copy from
      if to == 'succeeded' then call('SET', K.reuse(digest), image_id, 'PX', FLEET_TTL) end
      if call('GET', K.reuse(digest)) == image_id then unpark(digest) end
    end
  end
  emit_image(job_id, image_id, at)
  if FINISHED[to] and among(counts_of(job_id), UNFINISHED) == 0 then close_job(job_id, at) end
  return true
end

-- Counts an error that nobody expected, once for each run (`token`); returns how many there were in this attempt.
-- A next attempt begins anew, so the count is kept with the attempt's number.
local function count_unexpected(image_id, token)
  local image = K.image(image_id)
  local row = call('HMGET', image, 'attempt', 'unexpected_attempt', 'unexpected_count', 'unexpected_by')
  local count = text(row[2]) == text(row[1]) and num(row[3]) or 0
  if count > 0 and text(row[4]) == token then return count end
  call('HSET', image, 'unexpected_attempt', text(row[1]), 'unexpected_count', count + 1, 'unexpected_by', token)
  return count + 1
end

-- One more of what a next attempt forgets: a forgotten field is empty, which HINCRBY takes for no number.
local function count_up(image_id, field)
  local count = num(call('HGET', K.image(image_id), field)) + 1
  call('HSET', K.image(image_id), field, count)
  return count
end

local function holds(image_id, fence)
  return fence ~= '' and call('HGET', K.image(image_id), 'fence') == fence
end

-- Whether FAL has, or may have, this image: it is followed, never started afresh.
local function sent(image_id)
  local head = call('HMGET', K.image(image_id), 'request_id', 'posting_at')
  return text(head[1]) ~= '' or text(head[2]) ~= ''
end
