-- Forgets what nobody needs of jobs that ended a while ago. {older_than_ms, limit} Returns how many jobs it looked at.
-- Their history is cut down to its last event. Whoever resumes from before it gets a snapshot with `reset`, at the job's
-- stream and at its owner's. A job with failed images keeps its history, which dead letters show.
local older, limit = unpack(cmsgpack.unpack(ARGV[1]))

-- The fields that are empty, and those that served to make the model. What refreshes missing files needs them. Without a
-- history nobody reads earlier editions.
local function settle_image(image_id, has_history)
  local found, row = call('HGETALL', K.image(image_id)), {}
  for i = 1, #found, 2 do row[found[i]] = found[i + 1] end
  local gone = {}
  local function forget(name)
    if row[name] and row[name] ~= '' then gone[#gone + 1] = name end
  end
  for name, value in pairs(row) do
    local is_edition = not has_history and string.sub(name, 1, 7) == 'edition'
    if value == '' or is_edition then gone[#gone + 1] = name end
  end
  if row.status == 'succeeded' and not lacks_files(row.result) then
    for _, name in ipairs(PASSING_FIELDS) do forget(name) end
    -- what was booked has the attempt too
    if text(row.booked) ~= '' then
      forget('attempt_token')
      forget('unit_micro')
    end
  end
  if #gone > 0 then call('HDEL', K.image(image_id), unpack(gone)) end
end

local function settle_job(job_id)
  local job = K.job(job_id)
  local row = call('HMGET', job, 'owner', 'version', 'n_failed', 'ended_entry', 'finished_at', 'ended_seq')
  if text(row[5]) == '' then return end
  -- which data version 5 names by its number
  local ended_entry = row[4] or row[6] and row[6] .. '-0'
  local has_history = num(row[3]) > 0 or not ended_entry
  for _, id in ipairs(image_ids(job_id)) do settle_image(id, has_history) end
  if has_history then return end
  -- a stream takes 4 KiB however few entries it has, so the last event is left to the rows
  call('HSET', job, 'settled', row[2])
  call('UNLINK', K.job_events(job_id))
  call('XTRIM', K.owner_events(row[1]), 'MINID', ended_entry)
  forget_completions(job_id)
end

local due = call('ZRANGEBYSCORE', K.unsettled(), '-inf', now_ms() - older, 'LIMIT', 0, limit)
for _, job_id in ipairs(due) do
  settle_job(job_id)
  call('ZREM', K.unsettled(), job_id)
end
return #due
