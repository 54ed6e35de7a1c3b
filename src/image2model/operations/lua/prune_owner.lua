-- Removes jobs that no longer exist from an owner's sets. {owner, start, limit} -> {scanned, removed}
-- An owner without jobs is removed as well; its next job adds it again.
local owner, start, limit = unpack(cmsgpack.unpack(ARGV[1]))
local found, gone = call('ZRANGE', K.owner_jobs(owner), start, start + limit - 1), 0
for _, id in ipairs(found) do
  if call('EXISTS', K.job(id)) == 0 then
    call('ZREM', K.owner_jobs(owner), id)
    call('SREM', K.owner_active(owner), id)
    gone = gone + 1
  end
end
if call('EXISTS', K.owner_jobs(owner)) == 0 and call('EXISTS', K.owner_active(owner)) == 0 then
  call('SREM', K.owners(), owner)
end
return cmsgpack.pack({#found, gone})
