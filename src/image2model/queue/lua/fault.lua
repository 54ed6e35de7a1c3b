-- A submit failed by nobody's but FAL's or the account's fault. {reason, threshold, first_gap_ms, last_gap_ms}
-- The account's fault opens the circuit at once, FAL's after `threshold` failures in a row; a failed trial
-- doubles the time to the next. Returns 1 when the queue is paused now.
local reason, threshold, first_gap, last_gap = unpack(cmsgpack.unpack(ARGV[1]))
return count_fault(reason, threshold, first_gap, last_gap, now_ms()) and 1 or 0
