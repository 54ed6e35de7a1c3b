-- Counts a submit that failed because of FAL or the account. {reason, threshold, first_gap_ms, last_gap_ms}
-- A fault of the account opens the circuit at once, one of FAL after `threshold` failures in a row. A failed trial
-- doubles the time to the next one. Returns 1 when generations are paused now.
local reason, threshold, first_gap, last_gap = unpack(cmsgpack.unpack(ARGV[1]))
return count_fault(reason, threshold, first_gap, last_gap, now_ms()) and 1 or 0
