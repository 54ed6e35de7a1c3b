-- Erases an expired job except its hash, which answers 410 until it expires itself, and from which `unlist` takes it out
-- of the lists. {job_id}
-- -> 1: its files may be deleted, 0: it has not expired. The check and the erasure are one step.
local job_id = ARGV[1]
local job = K.job(job_id)
local fields = call('HMGET', job, 'owner', 'expires_at')
if not fields[1] then return 1 end
local expires_at = num(fields[2])
if expires_at == 0 or expires_at > now_ms() or total_in(counts_of(job_id), UNFINISHED) > 0 then return 0 end
for _, id in ipairs(image_ids(job_id)) do
  dequeue(GENERATION, id)
  release_permit(id)
  call('ZREM', K.dead(), id)
  delete_at_fal(call('HGET', K.image(id), 'request_id'), now_ms())
  leave_reuse(id)
  erase_image(id)
end
call('HDEL', job, 'metadata', 'settled')
forget_completions(job_id)
call('HSET', job, 'image_ids', '')
call('DEL', K.job_events(job_id), K.deliveries(job_id))
call('SREM', K.owner_active(fields[1]), job_id)
return 1
