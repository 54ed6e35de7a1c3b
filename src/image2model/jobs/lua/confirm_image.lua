-- A client has looked at an image's prepared pictures. {job_id, image_id, before, after or '', {{owner, key}, idem_token,
-- idem_value, idem_ttl} or false}: the preparation as it was read, and as it is to be, as JSON; without `after` the client
-- refuses them, and the image is cancelled.
-- Returns 1; 0 where the image has changed meanwhile, and nothing is done; -1 where the idempotency key is no longer this
-- request's.
local job_id, id, before, after, idem = unpack(cmsgpack.unpack(ARGV[1]))
local image, at = K.image(id), now_ms()
if idem and call('GET', K.idempotency(unpack(idem[1]))) ~= idem[2] then return -1 end
local row = call('HMGET', image, 'status', 'job_id', 'preparation', 'owner')
if row[2] ~= job_id or row[3] ~= before or FINISHED[text(row[1])] or sent(id) then return 0 end
if call('HGET', K.job(job_id), 'waiting_for') == 'confirmation' then call('HSET', K.job(job_id), 'waiting_for', '') end
if after == '' then
  call('PUBLISH', channel('control'), 'cancel:' .. id)
  move(id, 'cancelled', {}, at)
else
  buffer_image(id)
  call('HSET', image, 'preparation', after, 'confirm_by', '')
  -- a worker that holds it is about to let it wait, and sees that it need not
  if tonumber(call('ZSCORE', ARQ_QUEUE .. GENERATION, id)) == AWAITING_CONFIRMATION then
    local low = call('HGET', K.job(job_id), 'priority') == 'low'
    call('ZREM', K.confirmations(), id)
    call('ZADD', ARQ_QUEUE .. GENERATION, next_start_tag(row[4], low), id)
    notify_queue(GENERATION)
  end
  emit_image(job_id, id, at)
end
if idem then call('SET', K.idempotency(unpack(idem[1])), idem[3], 'PX', idem[4]) end
return 1
