-- A stretch of an owner's jobs, or ('') of everybody's, newest first. {owner, score or false, id, limit}: what
-- comes after (score, id). Returns {{id, score, owner, version, job row, counts} or {id, score, owner}, ...}; the
-- short form: its hash is gone.
local owner, score, after, limit = unpack(cmsgpack.unpack(ARGV[1]))
local places = {}

local function gather(whose)
  local taken, offset = 0, 0
  while taken < limit do
    local found = call('ZREVRANGEBYSCORE', K.owner_jobs(whose), score or '+inf', '-inf', 'WITHSCORES', 'LIMIT', offset, limit)
    for i = 1, #found, 2 do
      local id, at = found[i], tonumber(found[i + 1])
      if taken < limit and not (score and at == score and id >= after) then
        taken = taken + 1
        places[#places + 1] = {id, at, whose}
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
  for _, whose in ipairs(call('SMEMBERS', K.owners())) do gather(whose) end
  table.sort(places, newer)
end
local jobs = {}
for i = 1, math.min(limit, #places) do
  local id, at, whose = unpack(places[i])
  local head = call('HMGET', K.job(id), 'version', 'deleted')
  if head[1] and text(head[2]) ~= '1' then
    jobs[i] = {id, at, whose, num(head[1]), job_row(id), counts_of(id)}
  else
    jobs[i] = {id, at, whose}
  end
end
return cmsgpack.pack(jobs)
