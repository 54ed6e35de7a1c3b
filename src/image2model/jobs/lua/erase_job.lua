-- Removes every key and entry of a job from its cell. Its files are gone, and it is in no list any more.
local job_id = ARGV[1]
local owner = call('HGET', K.job(job_id), 'owner')
for _, id in ipairs(image_ids(job_id)) do
  leave_fetch(id)
  dequeue(GENERATION, id)
  if UNFINISHED[text(call('HGET', K.image(id), 'status'))] then close_account(id) end
  release_permit(id)
  call('ZREM', K.dead(), id)
  delete_at_fal(call('HGET', K.image(id), 'request_id'), now_ms())
  leave_reuse(id)
  erase_image(id)
end
call('DEL', K.job(job_id), K.job_events(job_id), K.deliveries(job_id))
call('ZREM', K.unfinished(), job_id)
call('ZREM', K.deleted(), job_id)
call('ZREM', K.ended(), job_id)
if owner then call('SREM', K.owner_active(owner), job_id) end
return 1
