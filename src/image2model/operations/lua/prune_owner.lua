-- Removes entries from an owner's lists. {owner, {job ids}, {entries of the index by metadata}}
-- An owner without a listed job is removed as well; the next job adds it again.
local owner, ids, entries = unpack(cmsgpack.unpack(ARGV[1]))
if #ids > 0 then call('ZREM', K.owner_jobs(owner), unpack(ids)) end
if #entries > 0 then call('ZREM', K.owner_metadata(owner), unpack(entries)) end
if call('EXISTS', K.owner_jobs(owner)) == 0 then call('SREM', K.owners(), owner) end
return 1
