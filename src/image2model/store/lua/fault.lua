-- A submit failed by nobody's but FAL's or the account's fault. {reason, threshold, first_gap_ms, last_gap_ms}
-- The account's fault opens the circuit at once, FAL's after `threshold` failures in a row; a failed trial
-- doubles the time to the next. Returns 1 when the queue is paused now.
local reason, threshold, first_gap, last_gap = unpack(cmsgpack.unpack(ARGV[1]))
local at, circuit = now_ms(), K.circuit()
local failures = call('HINCRBY', circuit, 'failures', 1)
call('PEXPIRE', circuit, FLEET_TTL)
if reason == 'fal' and failures < threshold and not queue_paused(GENERATION) then return 0 end
local gap = num(call('HGET', circuit, 'probe_gap'))
local tried = call('HDEL', circuit, 'tried') == 1
pause_queue(GENERATION, reason, at)
if gap == 0 or tried then
  gap = gap == 0 and first_gap or math.min(gap * 2, last_gap)
  call('HSET', circuit, 'probe_gap', gap, 'probe_at', at + gap)
end
return 1
