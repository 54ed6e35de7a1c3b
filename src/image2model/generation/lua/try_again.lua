-- Back to `queued` for another try or attempt; the holder lets go by `finish_task`, with the delay.
-- {image_id, token, used_attempt, start_timeout_ms, error or false, unknown, endpoint}. `used_attempt`: FAL accepted the one
-- that ended, so it counts, once however often it is told, and the time to get accepted begins anew; `error`, as
-- JSON, says why it ended; `unknown`: only while FAL's id is not known; `endpoint`: the endpoint is at fault, so
-- neither the attempt nor the time to get accepted counts.
-- Returns 1; 0 when the fence is another's; -1 when the move is illegal or a cancel was asked for, which ends the
-- image here, for nothing is at FAL. Nothing has changed with 2, when the time to get accepted is over (pauses not
-- counted), with -3, when the id is known by now, and with -4, when the budget has no room for another attempt: what
-- is set aside stays with an attempt that FAL may yet bill (`unknown`), and one that was booked has used it up.
local id, token, used, start_timeout, error, unknown, endpoint = unpack(cmsgpack.unpack(ARGV[1]))
if not holds_fence(id, token) then return 0 end
local image, at = K.image(id), now_ms()
if unknown and text(call('HGET', image, 'request_id')) ~= '' then return -3 end
-- the next attempt has not begun: this call is a repetition whose first reply was lost
if used and text(call('HGET', image, 'attempt_token')) == '' then return 1 end
if text(call('HGET', image, 'cancel_requested')) == '1' then
  move(id, 'cancelled', {}, at)
  return -1
end
local still = total_pause(at)
local head = call('HMGET', image, 'first_try_at', 'first_try_still')
if not used and not endpoint and num(head[1]) > 0 and at - num(head[1]) - (still - num(head[2])) > start_timeout then return 2 end
local held = used and unknown
local lacks = used and reservation_shortfall(id, held) or 0
if used and not affordable(id, lacks, at) then return -4 end
if held then hold(id, call('HGET', image, 'attempt_token'), at) end
reserve_more(id, lacks)
local fields = {}
for _, name in ipairs(ATTEMPT_FIELDS) do
  fields[#fields + 1] = name
  fields[#fields + 1] = ''
end
if used then
  if error then
    -- for the dead letter, should it become one: a line for each attempt
    local before, number = text(call('HGET', image, 'attempt_errors')), num(call('HGET', image, 'attempt'))
    call('HSET', image, 'attempt_errors', before .. number .. ' ' .. error .. '\n')
  end
  if not endpoint then call('HINCRBY', image, 'attempts_used', 1) end
  call('HINCRBY', image, 'attempt', 1)
  call('HSET', image, 'start_tries', 0, 'first_try_at', '')
elseif not endpoint and call('HINCRBY', image, 'start_tries', 1) == 1 then
  call('HSET', image, 'first_try_at', at, 'first_try_still', still)
end
release_permit(id)
if not move(id, 'queued', fields, at) then return -1 end
return 1
