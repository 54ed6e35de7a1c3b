-- One job at one moment. ARGV: job_id, and '1' to read its images too.
-- Returns {version, owner, deleted, job row, counts, image rows}, or nothing.
local job_id = ARGV[1]
local row = call('HMGET', K.job(job_id), 'version', 'owner', 'deleted')
if not row[1] then return false end
local images = {}
if ARGV[2] == '1' then
  for i, id in ipairs(image_ids(job_id)) do images[i] = image_row(id) end
end
return cmsgpack.pack({num(row[1]), row[2], text(row[3]) == '1', job_row(job_id), counts_of(job_id), images})
