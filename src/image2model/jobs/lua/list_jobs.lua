-- A slice of an owner's jobs, or ('') of everybody's, newest first. {owner, score or false, id, limit}: the jobs
-- after the position (score, id). Returns {{id, score, owner, version, job row, counts} or {id, score, owner}, ...};
-- the short form is for a job whose hash is gone.
local owner, score, after, limit = unpack(cmsgpack.unpack(ARGV[1]))
local positions = {}

local function gather(job_owner)
  local gathered, offset = 0, 0
  while gathered < limit do
    local found = call('ZREVRANGEBYSCORE', K.owner_jobs(job_owner), score or '+inf', '-inf', 'WITHSCORES', 'LIMIT', offset, limit)
    for i = 1, #found, 2 do
      local id, at = found[i], tonumber(found[i + 1])
      if gathered < limit and not (score and at == score and id >= after) then
        gathered = gathered + 1
        positions[#positions + 1] = {id, at, job_owner}
      end
    end
    if #found < 2 * limit then return end
    offset = offset + limit
  end
end

local function newer(a, b)
  if a[2] == b[2] then return a[1] > b[1] end
  return a[2] > b[2]
end

if owner ~= '' then
  gather(owner)
else
  for _, job_owner in ipairs(call('SMEMBERS', K.owners())) do gather(job_owner) end
  table.sort(positions, newer)
end
local jobs = {}
for i = 1, math.min(limit, #positions) do
  local id, at, job_owner = unpack(positions[i])
  local state = call('HMGET', K.job(id), 'version', 'deleted')
  if state[1] and text(state[2]) ~= '1' then
    jobs[i] = {id, at, job_owner, num(state[1]), job_row(id), counts_of(id)}
  else
    jobs[i] = {id, at, job_owner}
  end
end
return cmsgpack.pack(jobs)
