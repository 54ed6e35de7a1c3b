-- Opens the delivery of one end of a job, once, and queues its first attempt.
-- {job_id, delivery_id, record, task_id or false, arg}
-- Returns 1 if it is new; 0 if it exists, or the job has no webhook, or was deleted.
local job_id, id, record, task_id, arg = unpack(cmsgpack.unpack(ARGV[1]))
local head = call('HMGET', K.job(job_id), 'webhook_url', 'deleted')
if text(head[1]) == '' or text(head[2]) == '1' then return 0 end
if call('HSETNX', K.deliveries(job_id), id, record) == 0 then return 0 end
call('PEXPIRE', K.deliveries(job_id), math.max(call('PTTL', K.job(job_id)), 1))
local at = now_ms()
if task_id then enqueue(BATCH, task_id, 'deliver_webhook', arg, at, at) end
return 1
