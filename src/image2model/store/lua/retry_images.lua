-- Runs failed images again. {job_id, {image ids} or false, params json or false, low}
-- Returns {image ids}, or nothing when there is no such job.
local job_id, wanted, params, low = unpack(cmsgpack.unpack(ARGV[1]))
local owner, at, retried = call('HGET', K.job(job_id), 'owner'), now_ms(), {}
if not owner then return false end
local chosen = {}
for _, id in ipairs(wanted or image_ids(job_id)) do chosen[id] = true end
for _, id in ipairs(image_ids(job_id)) do
  local head = call('HMGET', K.image(id), 'status', 'attempt')
  if chosen[id] and head[1] == 'failed' then
    local fields = {'attempt', num(head[2]) + 1, 'attempts_used', 0, 'pickups', 0, 'start_tries', 0, 'first_try_at', '', 'error', '', 'result', '',
      'finished_at', '', 'started_at', '', 'cost_micro', '', 'fence', '', 'cancel_requested', ''}
    for _, name in ipairs(ATTEMPT_FIELDS) do
      fields[#fields + 1] = name
      fields[#fields + 1] = ''
    end
    if params then
      -- other parameters make another content
      fields[#fields + 1] = 'digest'
      fields[#fields + 1] = ''
      fields[#fields + 1] = 'params'
      fields[#fields + 1] = params
    end
    move(id, 'queued', fields, at)
    enqueue(GENERATION, id, 'generate_model', id, next_turn(owner, low), at)
    retried[#retried + 1] = id
  end
end
return cmsgpack.pack(retried)
