-- A creation whose reply was lost: the job exists (1), or it never will, whatever is still on its way (0).
local job_id = ARGV[1]
if call('EXISTS', K.job(job_id)) == 1 then return 1 end
call('SET', K.lock('job:' .. job_id), 'forbidden', 'PX', GRACE_TTL)
return 0
