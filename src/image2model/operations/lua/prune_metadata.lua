-- Removes entries of jobs that no longer exist from an owner's index by metadata. {owner, start, limit} ->
-- {scanned, removed}. What erases a job removes its entries; left are those of hashes that expired by themselves.
local owner, start, limit = unpack(cmsgpack.unpack(ARGV[1]))
local index, gone = K.owner_metadata(owner), 0
local found = call('ZRANGE', index, start, start + limit - 1)
for _, entry in ipairs(found) do
  local _, job_id = job_of_entry(entry)
  if call('EXISTS', K.job(job_id)) == 0 then
    call('ZREM', index, entry)
    gone = gone + 1
  end
end
return cmsgpack.pack({#found, gone})
