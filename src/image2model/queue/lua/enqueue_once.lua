-- Queues a maintenance task, unless it is waiting or running already. {queue, task_id, fn, arg, due_ms or 0}
local queue, task_id, fn, arg, due = unpack(cmsgpack.unpack(ARGV[1]))
if call('ZSCORE', ARQ_QUEUE .. queue, task_id) or is_postponed(task_id, fn) then return 0 end
local at = now_ms()
enqueue(queue, task_id, fn, arg, math.max(at, due), at)
return 1
