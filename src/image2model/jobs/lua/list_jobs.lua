-- A slice of the list of an owner's jobs, or ('') of everybody's, newest first. {owner, score or false, id, limit, tokens}:
-- the jobs after the position (score, id), which have all tokens in their metadata. Returns {{id, score, whether it has all
-- of the tokens and not only the rarest}, ...}. What the jobs are is in their cells: `read_listed`.
local owner, score, after, limit, tokens = unpack(cmsgpack.unpack(ARGV[1]))
local positions = {}

local function all_jobs(job_owner)
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

-- The rarest of the tokens among an owner's jobs.
local function rarest(index)
  local best, fewest
  for _, token in ipairs(tokens) do
    local count = call('ZLEXCOUNT', index, '[' .. token, '(' .. token .. ':')
    if not best or count < fewest then best, fewest = token, count end
  end
  return best
end

local function has_all(index, at, id)
  for _, token in ipairs(tokens) do
    if not call('ZSCORE', index, metadata_entry(token, at, id)) then return false end
  end
  return true
end

local function tagged_jobs(job_owner)
  local index = K.owner_metadata(job_owner)
  local token = rarest(index)
  -- a time is 13 digits, and ':' comes after every digit
  local before = '(' .. (score and metadata_entry(token, score, after) or token .. ':')
  for _, entry in ipairs(call('ZREVRANGEBYLEX', index, before, '[' .. token, 'LIMIT', 0, limit)) do
    local at, id = job_of_entry(entry)
    positions[#positions + 1] = {id, at, job_owner, #tokens > 1 and not has_all(index, at, id)}
  end
end

local gather = #tokens > 0 and tagged_jobs or all_jobs

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
local found = {}
for i = 1, math.min(limit, #positions) do
  local id, at, _, lacks = unpack(positions[i])
  found[i] = {id, at, not lacks}
end
return cmsgpack.pack(found)
