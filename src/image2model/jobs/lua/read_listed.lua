-- What a list shows of these jobs. {{job ids}} -> for each {version, owner, job row, counts}, or nothing where there is no
-- such job, or it was deleted.
local jobs = {}
for i, id in ipairs(cmsgpack.unpack(ARGV[1])[1]) do
  local head = call('HMGET', K.job(id), 'version', 'owner', 'deleted')
  jobs[i] = head[1] and text(head[3]) ~= '1' and {num(head[1]), head[2], job_row(id), counts_of(id)}
end
return cmsgpack.pack(jobs)
