-- A run ended with an error that nobody expected. {queue, task_id, token} -> how many runs of the task did, this one
-- counted once however often it is told; of an image those of its present attempt. 0: the lease is another's.
local queue, id, token = unpack(cmsgpack.unpack(ARGV[1]))
if queue == GENERATION then return holds(id, token) and count_unexpected(id, token) or 0 end
if call('GET', ARQ_IN_PROGRESS .. id) ~= token then return 0 end
local noted = K.unexpected(id)
if call('HGET', noted, 'by') ~= token then
  call('HSET', noted, 'by', token)
  call('HINCRBY', noted, 'count', 1)
  call('PEXPIRE', noted, GRACE_TTL)
end
return num(call('HGET', noted, 'count'))
