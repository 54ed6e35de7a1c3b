-- After a definite failure: another attempt, later. {image_id, token, used_attempt, delay_ms}
-- The holder lets go by `finish_task`; here the request of the ended attempt is forgotten.
local id, token, used = unpack(cmsgpack.unpack(ARGV[1]))
if not holds(id, token) then return 0 end
local image, at = K.image(id), now_ms()
local fields = {}
for _, name in ipairs(ATTEMPT_FIELDS) do
  fields[#fields + 1] = name
  fields[#fields + 1] = ''
end
if used then
  call('HINCRBY', image, 'attempts_used', 1)
  call('HINCRBY', image, 'attempt', 1)
end
release_permit(id)
call('HSET', image, 'pickups', 0)
if not move(id, 'queued', fields, at) then return -1 end
return 1
