-- Writes a delivery's record and queues its next attempt, in one step.
-- {job_id, delivery_id, record as it was read, record, task_id or false, arg, due_ms}
-- Returns 1 done; 0 another process has written since; -1 the job or the delivery is gone.
local job_id, id, before, after, task_id, arg, due = unpack(cmsgpack.unpack(ARGV[1]))
local found = call('HGET', K.deliveries(job_id), id)
if not found or text(call('HGET', K.job(job_id), 'deleted')) == '1' then return -1 end
if found ~= before then return 0 end
call('HSET', K.deliveries(job_id), id, after)
if task_id then
  -- a task's age counts from when it is due
  due = math.max(due, now_ms())
  enqueue(BATCH, task_id, 'deliver_webhook', arg, due, due)
end
return 1
