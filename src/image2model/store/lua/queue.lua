-- Tasks in the queues, permits, fair order, pauses and reuse. Needs events.lua and endpoints.lua.

local notified_queues = {}

-- How many idle workers learn of a task: the second takes it where the first was killed a moment ago, or hangs.
local WOKEN = 2

-- Wakes those that registered last. One that has ended receives nothing, and the next is woken in its place.
local function wake_workers(queue)
  local woken = 0
  while woken < WOKEN do
    local found = call('ZPOPMAX', K.idle_workers(queue))
    if not found[1] then return end
    woken = woken + call('PUBLISH', channel('ready') .. ':' .. found[1], queue)
  end
end

-- Notifies the workers that a queue has a task to start, or a permit came free: all that have tasks, or a few where none
-- has. Once in a script is enough: they look after it has run.
local function notify_queue(queue)
  if notified_queues[queue] then return end
  notified_queues[queue] = true
  if call('PUBLISH', channel('ready'), queue) == 0 then wake_workers(queue) end
end

-- The same for a new task. A worker that has just prepared an image does so again at once; while images are being
-- prepared, another one may have more time for it.
local function notify_of_task(queue)
  if queue == GENERATION and not notified_queues[queue] and call('EXISTS', K.ahead()) == 1 then wake_workers(queue) end
  notify_queue(queue)
end

-- Whether a task has ARQ's keys beside its place in the queue. From data version 6 on an image has none: its hash says
-- what its task is and has the holder's token, and the lease set when that ends.
local function has_arq_keys(queue) return queue ~= GENERATION or data_version() < 6 end

-- Whether a worker holds the image.
local function is_leased(image_id, at)
  if has_arq_keys(GENERATION) then return call('EXISTS', ARQ_IN_PROGRESS .. image_id) == 1 end
  return num(call('ZSCORE', K.leases(GENERATION), image_id)) > at
end

-- Queues a task: ARQ's job key, and its score in the queue. A function that workers of the data version may not know is
-- postponed until all of them do, since a worker drops a task that it does not know.
local function enqueue(queue, task_id, fn, arg, score, at)
  if has_arq_keys(queue) then
    call('SET', ARQ_JOB .. task_id, cmsgpack.pack({fn, arg, at}), 'PX', UNFINISHED_TTL)
  elseif num(call('HGET', K.image(task_id), 'created_at')) ~= at then
    call('HSET', K.image(task_id), 'enqueued_at', at)
  end
  if FUNCTION_SINCE[fn] and data_version() < FUNCTION_SINCE[fn] then return postpone(queue, task_id, fn, score) end
  call('ZADD', ARQ_QUEUE .. queue, score, task_id)
  notify_of_task(queue)
end

-- Images that wait for the window of their endpoint return to their places in the fair order: the first `count`.
local function release_window_waiters(model, count)
  local waiting, released = K.window_waiting(model), 0
  while released < count do
    local found = call('ZRANGE', waiting, 0, 0, 'WITHSCORES')
    if #found == 0 then
      call('SREM', K.window_models(), model)
      break
    end
    call('ZREM', waiting, found[1])
    if tonumber(call('ZSCORE', ARQ_QUEUE .. GENERATION, found[1])) == AWAITING_WINDOW then
      call('ZADD', ARQ_QUEUE .. GENERATION, 'XX', found[2], found[1])
      released = released + 1
    end
  end
  if released > 0 then notify_queue(GENERATION) end
end

-- Removes a task from its queue, with its lease and ARQ's keys. `moving`: an image that has left `queued`, and so waits
-- for nothing.
local function dequeue(queue, task_id, moving)
  if queue == GENERATION and not moving then
    local score = tonumber(call('ZSCORE', ARQ_QUEUE .. queue, task_id))
    if score == AWAITING_ENDPOINT then remove_endpoint_waiter(task_id, model_of(task_id)) end
    if score == AWAITING_WINDOW then call('ZREM', K.window_waiting(text(model_of(task_id))), task_id) end
    if score == AWAITING_CONFIRMATION then call('ZREM', K.confirmations(), task_id) end
  end
  call('ZREM', ARQ_QUEUE .. queue, task_id)
  call('ZREM', K.leases(queue), task_id)
  if has_arq_keys(queue) then call('DEL', ARQ_JOB .. task_id, ARQ_RETRY .. task_id, ARQ_IN_PROGRESS .. task_id) end
end

-- The image is no longer prepared and waiting for its permit. Returns whether it was.
local function forget_prepared(image_id)
  call('ZREM', K.prepared(), image_id)
  call('ZREM', K.asked(), image_id)
  return call('ZREM', K.ahead(), image_id) == 1
end

-- Releases an image's share of the fleet's capacity: a look-ahead entry (it is being prepared) or a permit (FAL has it,
-- or is about to). What waits for its endpoint's window moves up. `left_fal`: a move from a status at FAL, or after one,
-- which has counted it there no more; the permit took its look-ahead entry.
local function release_permit(image_id, left_fal)
  local held = call('ZREM', K.permits(), image_id) == 1
  if held then notify_queue(GENERATION) end
  if not left_fal then
    held = forget_prepared(image_id) or held
    call('ZREM', K.fal_running(), image_id)
    call('ZREM', K.fal_waiting(), image_id)
  end
  if held then
    if data_version() < 6 then call('HDEL', K.fal_models(), image_id) end
    local model = text(model_of(image_id))
    if call('SISMEMBER', K.window_models(), model) == 1 then release_window_waiters(model, 1) end
  end
end

-- The virtual time of the fair order, of normal or low priority: the start tag of the last image that got a permit. The
-- two priorities have had clocks of their own since data version 3.
local function virtual_time(low)
  return num(low and call('GET', K.low_turn()) or call('GET', K.turn()))
end

-- The score of the first of an owner's next `count` images, one after the other: its start tag in start-time fair
-- queueing. An owner who has waited for nothing gets the tag of the last image that got a permit, before the next one of
-- everybody who has had a turn. `owner_turn` is the owner's last start tag.
local function next_start_tags(owner, low, count)
  local last = low and K.owner_low_turn(owner) or K.owner_turn(owner)
  local tag = math.max(virtual_time(low), num(call('GET', last)) + 1)
  call('SET', last, tag + count - 1, 'PX', FLEET_TTL)
  if low then return LOW_PRIORITY + tag end
  return NORMAL_PRIORITY + tag
end

local function next_start_tag(owner, low) return next_start_tags(owner, low, 1) end

-- Images with these scores got their permits: the virtual times become the last start tags among them.
local function advance_virtual_times(scores)
  local last = {}
  for _, score in ipairs(scores) do
    if score >= NORMAL_PRIORITY and score < DUE_AT then
      local low = score >= LOW_PRIORITY
      last[low] = math.max(last[low] or 0, score - (low and LOW_PRIORITY or NORMAL_PRIORITY))
    end
  end
  for low, tag in pairs(last) do
    if tag > virtual_time(low) then call('SET', low and K.low_turn() or K.turn(), tag, 'PX', FLEET_TTL) end
  end
end

-- Images of low priority get one permit of ten at least while they wait, so none of them starves.
local LOW_SHARE = 10

-- Images with these scores got their permits, in this order.
local function count_low_priority(scores)
  local sent, is_low_sent = 0, false
  for _, score in ipairs(scores) do
    if score >= NORMAL_PRIORITY and score < LOW_PRIORITY then
      sent = sent + 1
    elseif score >= LOW_PRIORITY or score == START_NEXT + 2 then
      sent, is_low_sent = 0, true
    end
  end
  if is_low_sent then call('HDEL', K.fal_window(), 'low_debt') end
  if sent > 0 and call('ZCOUNT', ARQ_QUEUE .. GENERATION, LOW_PRIORITY, '(' .. DUE_AT) > 0 then
    call('HINCRBY', K.fal_window(), 'low_debt', sent)
    call('PEXPIRE', K.fal_window(), FLEET_TTL)
  end
end

local function low_priority_is_due() return num(call('HGET', K.fal_window(), 'low_debt')) >= LOW_SHARE - 1 end

local function queue_paused(queue) return call('EXISTS', K.pause(queue)) == 1 end

-- Pauses a queue for a reason; it may have several. The time that generations are paused is added up: it counts neither
-- as trying nor as patience.
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
    notify_queue(queue)
  end
  return true
end

-- For how many ms in all generations have been paused, up to now.
local function total_pause(at)
  local circuit = call('HMGET', K.circuit(), 'stood_still_ms', 'paused_at')
  local sum = num(circuit[1])
  if queue_paused(GENERATION) then sum = sum + at - num(circuit[2]) end
  return sum
end

-- The fields that are cleared when the circuit of the account and of FAL as a whole closes.
local CIRCUIT_FIELDS = {'failures', 'probe_at', 'probe_gap', 'trial', 'tried', 'trial_image', 'inferred'}

-- FAL accepted a submit: neither FAL nor the account is at fault.
local function close_circuit(at)
  call('HDEL', K.circuit(), unpack(CIRCUIT_FIELDS))
  resume_queue(GENERATION, {'account', 'fal'}, at)
end

-- Reuse: one run serves all images with the same content (`digest`). The leader is the image whose run it is.

-- The leader of a content, where that is another image, and its status. A leader that was retried with other parameters
-- has another content by now, so its result must not be reused.
local function leader_of(digest, image_id)
  local leader = call('GET', K.reuse(digest))
  if not leader or leader == image_id then return nil end
  local row = call('HMGET', K.image(leader), 'status', 'digest')
  if row[2] ~= digest then return nil end
  return leader, row[1] or nil
end

-- An image that has the cut-out of this content, or nothing. Its leader may have gone on to its next phase, and has
-- another content by now.
local function cutout_source(digest)
  local source = digest ~= '' and call('GET', K.cutout(digest))
  return source and call('EXISTS', K.image(source)) == 1 and source or nil
end

-- The image whose result this one may reuse, 'wait' while the leader still runs, or nothing: then this image leads from
-- now on.
local function reuse_source(digest, image_id)
  local leader, status = leader_of(digest, image_id)
  if status == 'succeeded' then return leader end
  if status and UNFINISHED[status] then return 'wait' end
  call('SET', K.reuse(digest), image_id, 'PX', FLEET_TTL)
  return nil
end

-- The image waits for its leader's result, out of sight of every pick.
local function await_reuse(image_id, digest)
  call('ZADD', ARQ_QUEUE .. GENERATION, AWAITING_REUSE, image_id)
  call('SADD', K.reuse_waiting(digest), image_id)
  call('PEXPIRE', K.reuse_waiting(digest), FLEET_TTL)
end

-- The leader has ended: all that waited for it start next. After a success they reuse its result; otherwise the first
-- that is picked leads, and the others wait again.
local function release_reuse_waiters(digest)
  local waiting = call('SMEMBERS', K.reuse_waiting(digest))
  for _, id in ipairs(waiting) do
    if call('ZSCORE', ARQ_QUEUE .. GENERATION, id) then call('ZADD', ARQ_QUEUE .. GENERATION, START_NEXT, id) end
  end
  if #waiting == 0 then return end
  call('DEL', K.reuse_waiting(digest))
  notify_queue(GENERATION)
end

-- The image runs no more for this content: those that waited for it start next.
local function stop_leading(image_id, digest)
  if digest == '' or call('GET', K.reuse(digest)) ~= image_id then return end
  call('DEL', K.reuse(digest))
  release_reuse_waiters(digest)
end

-- The image is about to be erased: nothing can be reused from it.
local function leave_reuse(image_id)
  local row = call('HMGET', K.image(image_id), 'digest', 'cutout_digests')
  stop_leading(image_id, text(row[1]))
  for digest in string.gmatch(text(row[2]), '%S+') do
    if call('GET', K.cutout(digest)) == image_id then call('DEL', K.cutout(digest)) end
  end
end
