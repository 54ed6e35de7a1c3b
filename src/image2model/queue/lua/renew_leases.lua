-- Renews the leases of one worker. {queue, lease_ms, {{id, token}, ...}} -> {lost ids, ids to cancel}
local queue, lease, held = unpack(cmsgpack.unpack(ARGV[1]))
local at, lost, cancelled = now_ms(), {}, {}
if #held == 0 then return cmsgpack.pack({lost, cancelled}) end
local keeps_arq_keys, in_progress, jobs = has_arq_keys(queue), {}, {}
for i, pair in ipairs(held) do
  in_progress[i], jobs[i] = ARQ_IN_PROGRESS .. pair[1], ARQ_JOB .. pair[1]
end
local owners = keeps_arq_keys and call('MGET', unpack(in_progress))
local all_known = not keeps_arq_keys or call('EXISTS', unpack(jobs)) == #held
local leases, running = {}, {}
for i, pair in ipairs(held) do
  local id, token = pair[1], pair[2]
  local row = queue == GENERATION and call('HMGET', K.image(id), 'fence', 'cancel_requested', 'status') or {}
  -- an expired lease that no other worker has taken is still ours
  local ours = row[1] == token
  if owners then ours = owners[i] == token or (not owners[i] and (queue ~= GENERATION or ours)) end
  if ours and (all_known or call('EXISTS', jobs[i]) == 1) then
    if keeps_arq_keys then call('SET', in_progress[i], token, 'PX', lease) end
    leases[#leases + 1] = at + lease
    leases[#leases + 1] = id
    running[#running + 1] = RUNNING
    running[#running + 1] = id
    if text(row[2]) == '1' then cancelled[#cancelled + 1] = id end
  elseif row[3] ~= 'succeeded' and row[3] ~= 'failed' then
    -- an image that its holder has just finished is not lost
    lost[#lost + 1] = id
  end
end
if #leases > 0 then
  call('ZADD', K.leases(queue), unpack(leases))
  call('ZADD', ARQ_QUEUE .. queue, unpack(running))
end
return cmsgpack.pack({lost, cancelled})
