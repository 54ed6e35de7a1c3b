-- Fails the unfinished images of a restored job, because FAL may have generated them since the backup.
-- {job_id, error} -> the number of images. Also adds the job to the cleanup's set.
local job_id, failure = unpack(cmsgpack.unpack(ARGV[1]))
local job, at, failed = K.job(job_id), now_ms(), 0
local owner = call('HGET', job, 'owner')
for _, id in ipairs(image_ids(job_id)) do
  local image = call('HMGET', K.image(id), 'status', 'finished_at')
  if image[1] == 'failed' then add_dead_letter(id, num(image[2])) end
  if UNFINISHED[text(image[1])] then
    failed = failed + 1
    -- the restored account reserves nothing for it; an image that FAL has, or may have, can still be billed
    call('HSET', K.image(id), 'reserved_micro', '')
    if sent(id) then open_account(id, owner, num(call('HGET', K.image(id), 'unit_micro'))) end
    move(id, 'failed', {'error', failure, 'cancel_requested', ''}, at)
  end
end
if failed > 0 then dequeue(BATCH, 'finish:' .. job_id .. ':' .. call('HGET', job, 'version')) end
local expires_at = num(call('HGET', job, 'expires_at'))
if expires_at > 0 then
  call('ZADD', K.ended(), expires_at, job_id)
  call('PEXPIRE', K.ended(), FLEET_TTL)
end
return failed
