-- Cancels what is not finished. {job_id, delete, keep_ms or false}
-- `keep_ms`: with `delete`, all requests of the job are deleted at FAL too, at once or at their end. See `keep_at_fal`.
-- What was never sent to FAL is cancelled at once. What FAL has, or may have, is marked and followed to its end.
-- Returns {images cancelled, images marked}, or nothing when there is no such job.
local job_id, delete, keep = unpack(cmsgpack.unpack(ARGV[1]))
local job, at, cancelled, marked = K.job(job_id), now_ms(), 0, 0
local owner = call('HGET', job, 'owner')
if not owner then return false end

-- All requests of an image, those of earlier attempts too: the bookings name them. Those that an earlier setting left at
-- FAL are put on the list.
local function delete_requests(id)
  local image = call('HMGET', K.image(id), 'request_id', 'status', 'fal_deleted')
  local requests = bookings_of(id)
  if text(image[1]) ~= '' then requests[image[1]] = true end
  for request_id in pairs(requests) do
    if string.sub(request_id, 1, 5) ~= 'post-' and not string.find(text(image[3]), request_id, 1, true) then
      keep_at_fal(request_id, id, keep, at)
      if FINISHED[text(image[2])] or request_id ~= image[1] then delete_at_fal(request_id, at) end
    end
  end
end

local unfinished = total_in(counts_of(job_id), UNFINISHED) > 0
if delete then
  call('HSET', job, 'deleted', '1')
  call('SREM', K.owner_active(owner), job_id)
  call('ZADD', K.deleted(), at, job_id)
  call('PEXPIRE', K.deleted(), FLEET_TTL)
  call('PUBLISH', channel('bell:' .. owner), cmsgpack.pack({job_id, 0, 0, 'deleted', ''}))
  for _, id in ipairs(image_ids(job_id)) do
    delete_requests(id)
    leave_fetch(id)
  end
  if not unfinished then enqueue(BATCH, 'finish:' .. job_id .. ':deleted', 'finish_batch', job_id, at, at) end
end
if not unfinished then return cmsgpack.pack({0, 0}) end
call('HSET', job, 'cancel_requested', '1')
for _, id in ipairs(image_ids(job_id)) do
  local status = call('HGET', K.image(id), 'status')
  if UNFINISHED[status] then
    if sent(id) then
      marked = marked + 1
      call('HSET', K.image(id), 'cancel_requested', '1')
      call('PUBLISH', channel('control'), 'cancel:' .. id)
      emit_image(job_id, id, at)
    elseif not MOVING[status] or status == 'preparing' then
      cancelled = cancelled + 1
      call('PUBLISH', channel('control'), 'cancel:' .. id)
      move(id, 'cancelled', {}, at)
    end
  end
end
return cmsgpack.pack({cancelled, marked})
