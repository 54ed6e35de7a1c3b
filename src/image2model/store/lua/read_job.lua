-- One job as of one moment: {version, owner, deleted, job row, image rows}, or nothing.
local job_id = ARGV[1]
local head = call('HMGET', K.job(job_id), 'version', 'owner', 'deleted')
if not head[1] then return false end
local rows = {}
if ARGV[2] == '1' then
  for i, id in ipairs(image_ids(job_id)) do rows[i] = image_row(id) end
end
return cmsgpack.pack({num(head[1]), head[2], text(head[3]) == '1', job_row(job_id), counts_of(job_id), rows})
