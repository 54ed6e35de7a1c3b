-- The lists by which an owner's jobs are found: all of them by time, and an index by metadata. They lie in the home cell.
-- An entry is there before its job is made and until it is erased, so whoever reads one asks whether there is a job.
-- Needs base.lua.

-- One entry of the index by metadata. All scores are 0, so the order is that of the text: token, time, job.
local function metadata_entry(token, at, job_id) return token .. string.format('%013.0f', at) .. job_id end

-- The time and the job of an entry.
local function job_of_entry(entry)
  local at = METADATA_TOKEN_DIGITS + 1
  return tonumber(string.sub(entry, at, at + 12)), string.sub(entry, at + 13)
end

-- Changes the index for all tokens of a job, so many at once that no call has too many arguments.
local function each_metadata_entry(job_id, tokens, at, change)
  local entries = {}
  for i, token in ipairs(tokens) do
    entries[#entries + 1] = metadata_entry(token, at, job_id)
    if #entries == 1000 or i == #tokens then
      change(entries)
      entries = {}
    end
  end
end

-- From now on the job is found: in its owner's list, and by its metadata, with a token for each pair of key and value.
local function list_job(owner, job_id, tokens, at)
  call('ZADD', K.owner_jobs(owner), at, job_id)
  call('PEXPIRE', K.owner_jobs(owner), FLEET_TTL)
  call('SADD', K.owners(), owner)
  call('PEXPIRE', K.owners(), FLEET_TTL)
  if #tokens == 0 then return end
  each_metadata_entry(job_id, tokens, at, function(entries)
    local scored = {}
    for _, entry in ipairs(entries) do
      scored[#scored + 1] = 0
      scored[#scored + 1] = entry
    end
    call('ZADD', K.owner_metadata(owner), unpack(scored))
  end)
  call('PEXPIRE', K.owner_metadata(owner), FLEET_TTL)
end

-- The job is found no more. `at` is the time by which it was listed.
local function unlist_job(owner, job_id, tokens, at)
  call('ZREM', K.owner_jobs(owner), job_id)
  each_metadata_entry(job_id, tokens, at, function(entries)
    call('ZREM', K.owner_metadata(owner), unpack(entries))
  end)
end
