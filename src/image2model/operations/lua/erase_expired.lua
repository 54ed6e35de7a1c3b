-- An expired job loses all but its head, which answers 410 until its own life ends. Its files go next.
-- {job_id} -> 1 its files may be erased, 0 it lives. The check and the loss are one step.
local job_id = ARGV[1]
local job = K.job(job_id)
local head = call('HMGET', job, 'owner', 'expires_at')
if not head[1] then return 1 end
local ends = num(head[2])
if ends == 0 or ends > now_ms() or total_in(counts_of(job_id), UNFINISHED) > 0 then return 0 end
for _, id in ipairs(image_ids(job_id)) do
  dequeue(GENERATION, id)
  release_permit(id)
  call('ZREM', K.dead(), id)
  erase_image(id)
end
call('HSET', job, 'image_ids', '')
call('DEL', K.job_events(job_id), K.deliveries(job_id))
call('ZREM', K.owner_jobs(head[1]), job_id)
call('SREM', K.owner_active(head[1]), job_id)
return 1
