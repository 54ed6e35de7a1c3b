-- A stretch of an owner's jobs, newest first. {owner, score or false, id, limit}: what comes after (score, id).
-- Returns {{id, score, version, job row, counts} or {id, score}, ...}; the short form: its hash is gone.
local owner, score, after, limit = unpack(cmsgpack.unpack(ARGV[1]))
local jobs, offset = {}, 0
while #jobs < limit do
  local found = call('ZREVRANGEBYSCORE', K.owner_jobs(owner), score or '+inf', '-inf', 'WITHSCORES', 'LIMIT', offset, limit)
  for i = 1, #found, 2 do
    local id, at = found[i], tonumber(found[i + 1])
    if #jobs < limit and not (score and at == score and id >= after) then
      local head = call('HMGET', K.job(id), 'version', 'deleted')
      if head[1] and text(head[2]) ~= '1' then
        jobs[#jobs + 1] = {id, at, num(head[1]), job_row(id), counts_of(id)}
      else
        jobs[#jobs + 1] = {id, at}
      end
    end
  end
  if #found < 2 * limit then break end
  offset = offset + limit
end
return cmsgpack.pack(jobs)
