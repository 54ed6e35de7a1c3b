-- Moves an image back to `queued` for another try or attempt; the holder then releases it with the delay, by
-- `release_task`. {image_id, token, used_attempt, start_timeout_ms, error or false, unknown, endpoint}
-- `used_attempt`: FAL had accepted the attempt that ended, so it counts (once, however often this is called), and the
-- time to be accepted begins anew; `error`, as JSON, says why it ended; `unknown`: only while FAL's id is not known;
-- `endpoint`: the endpoint is at fault, so neither the attempt nor the time to be accepted counts.
-- Returns 1; 0 if another worker holds the image; -1 if the move is illegal, or a cancel was requested, which ends the
-- image here, because FAL has nothing. Nothing has changed with 2: the time to be accepted is over (pauses not
-- counted); with -3: the id is known by now; and with -4: the budget does not allow another attempt. The reserved price
-- stays with an attempt that FAL may yet bill (`unknown`), and a booked attempt has used it up.
local id, token, used, start_timeout, error, unknown, endpoint = unpack(cmsgpack.unpack(ARGV[1]))
if not holds_fence(id, token) then return 0 end
local image, at = K.image(id), now_ms()
buffer_image(id)
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
local held, request_id = used and unknown, call('HGET', image, 'request_id')
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
delete_at_fal(request_id, at)
return 1
