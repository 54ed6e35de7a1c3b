-- Counts a run that ended with an unexpected error. {queue, task_id, token}
-- Returns how many runs of the task did, for an image those of its present attempt. A run counts once, however
-- often this is called for it. 0: another worker holds the lease.
local queue, id, token = unpack(cmsgpack.unpack(ARGV[1]))
if queue == GENERATION then return holds_fence(id, token) and count_unexpected(id, token) or 0 end
if call('GET', ARQ_IN_PROGRESS .. id) ~= token then return 0 end
local noted = K.unexpected(id)
if call('HGET', noted, 'by') ~= token then
  call('HSET', noted, 'by', token)
  call('HINCRBY', noted, 'count', 1)
  call('PEXPIRE', noted, GRACE_TTL)
end
return num(call('HGET', noted, 'count'))
