-- Looks up many jobs: for each id {version, owner, deleted, expires_at, priority, updated_at}, all strings.
-- {{job ids}}
local jobs = {}
for i, job_id in ipairs(cmsgpack.unpack(ARGV[1])[1]) do jobs[i] = lookup_row(job_id) end
return cmsgpack.pack(jobs)
