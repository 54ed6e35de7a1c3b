-- The heads of many jobs: for each id {version, owner, deleted, expires_at, priority, updated_at}, texts.
local heads = {}
for i, job_id in ipairs(cmsgpack.unpack(ARGV[1])[1]) do heads[i] = lookup_row(job_id) end
return cmsgpack.pack(heads)
