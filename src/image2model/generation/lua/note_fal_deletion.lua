-- How a try to delete a request at FAL ended. {request_id, outcome, reason, gap_ms}
-- `done`: FAL has nothing of it any more. Otherwise it is tried again after `gap_ms`: `denied`, FAL does not know the
-- request; `left`, not all of its files are gone; `refused`, the admin key is refused, and no other request is tried before
-- the gap, which doubles, is over; `failed`.
-- Returns 1, or 0 where the request is not on the list.
local request_id, outcome, reason, gap = unpack(cmsgpack.unpack(ARGV[1]))
local state, entries, at = K.fal_deletion_state(), K.fal_deletion_entries(), now_ms()
local stored = call('HGET', entries, request_id)
local entry = stored and cjson.decode(stored) or {'', 0, 0}

if outcome ~= 'failed' and outcome ~= 'refused' then call('HDEL', state, 'refused', 'refusals', 'blocked_until') end
if outcome == 'done' then
  if call('ZREM', K.fal_deletions(), request_id) == 0 then return 0 end
  call('HDEL', entries, request_id)
  call('HINCRBY', state, 'done', 1)
  if entry[2] > 0 then call('HINCRBY', state, 'failing', -1) end
  if num(call('HGET', state, 'failing')) <= 0 then call('HDEL', state, 'failing', 'last_error', 'last_error_at') end
  local image = K.image(entry[1])
  if call('EXISTS', image) == 1 then
    call('HSET', image, 'fal_deleted', text(call('HGET', image, 'fal_deleted')) .. request_id .. ' ')
  end
  return 1
end

if not call('ZSCORE', K.fal_deletions(), request_id) then return 0 end
if entry[2] == 0 then call('HINCRBY', state, 'failing', 1) end
if outcome == 'refused' then
  -- counted once for all that were tried at the same time
  if num(call('HGET', state, 'blocked_until')) <= at then
    local refusals = call('HINCRBY', state, 'refusals', 1)
    gap = math.min(900000, gap * 2 ^ math.min(refusals - 1, 20))
    call('HSET', state, 'refused', reason, 'blocked_until', string.format('%d', at + gap))
  end
else
  call('ZADD', K.fal_deletions(), at + gap, request_id)
end
local denied_at = outcome == 'denied' and (entry[3] > 0 and entry[3] or at) or 0
call('HSET', entries, request_id, cjson.encode({entry[1], entry[2] + 1, denied_at}))
call('HSET', state, 'last_error', reason, 'last_error_at', string.format('%d', at))
return 1
