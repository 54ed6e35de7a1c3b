-- Cancels what is not finished. {job_id, delete}
-- What was never sent to FAL is cancelled at once. What FAL has, or may have, is marked and followed to its end.
-- Returns {images cancelled, images marked}, or nothing when there is no such job.
local job_id, delete = unpack(cmsgpack.unpack(ARGV[1]))
local job, at, cancelled, marked = K.job(job_id), now_ms(), 0, 0
local owner = call('HGET', job, 'owner')
if not owner then return false end
local unfinished = total_in(counts_of(job_id), UNFINISHED) > 0
if delete then
  call('HSET', job, 'deleted', '1')
  call('ZREM', K.owner_jobs(owner), job_id)
  call('SREM', K.owner_active(owner), job_id)
  unindex_metadata(job_id, owner)
  call('ZADD', K.deleted(), at, job_id)
  call('PEXPIRE', K.deleted(), FLEET_TTL)
  call('PUBLISH', channel('bell:' .. owner), cmsgpack.pack({job_id, 0, 0, 'deleted', ''}))
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
