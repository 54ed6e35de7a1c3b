-- Pauses or resumes a queue for one reason. {queue, reason, pause} -> 1 when something changed.
-- An operator's reason is `paused`.
local queue, reason, pause = unpack(cmsgpack.unpack(ARGV[1]))
local at = now_ms()
if pause then
  local new = call('HEXISTS', K.pause(queue), reason) == 0
  pause_queue(queue, reason, at)
  return new and 1 or 0
end
return resume_queue(queue, {reason}, at) and 1 or 0
