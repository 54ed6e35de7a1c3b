-- After a creation whose reply was lost: 1 where the job exists. Otherwise 0, and it never will: a creation that
-- still arrives is refused.
local job_id = ARGV[1]
if call('EXISTS', K.job(job_id)) == 1 then return 1 end
call('SET', K.forbidden(job_id), 'forbidden', 'PX', GRACE_TTL)
return 0
