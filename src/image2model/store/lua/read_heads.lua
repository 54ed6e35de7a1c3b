-- The heads of many jobs: for each id {version, owner, deleted, expires_at, priority}, texts.
local heads = {}
for i, job_id in ipairs(cmsgpack.unpack(ARGV[1])[1]) do
  local head = call('HMGET', K.job(job_id), 'version', 'owner', 'deleted', 'expires_at', 'priority')
  for n = 1, #head do head[n] = text(head[n]) end
  heads[i] = head
end
return cmsgpack.pack(heads)
