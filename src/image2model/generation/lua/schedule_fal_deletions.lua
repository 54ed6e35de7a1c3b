-- Queues the task that deletes at FAL where something is due and the admin key is not refused. Returns nothing.
local at = now_ms()
if num(call('HGET', K.fal_deletion_state(), 'blocked_until')) > at then return false end
for _, name in ipairs({K.fal_deletions(), K.kept_at_fal()}) do
  local first = call('ZRANGE', name, 0, 0, 'WITHSCORES')
  if first[2] and tonumber(first[2]) <= at then
    schedule_fal_deletions(at)
    return false
  end
end
return false
