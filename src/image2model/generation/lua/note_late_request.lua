-- FAL reports the end of a request that no worker follows. {image_id, attempt_token, request_id, delay_ms}
-- It is deleted at FAL if the attempt is ours: a hold or a booking names it, or the image itself. Callbacks about other
-- accounts may name any image. The image's present request is deleted when the image has ended, see `leave_fal`. `delay_ms` leaves a process that reads the result the time to do so.
-- Returns 1 where it will be deleted.
local id, attempt, request_id, delay = unpack(cmsgpack.unpack(ARGV[1]))
local image = call('HMGET', K.image(id), 'request_id', 'attempt_token')
if image[1] == request_id then return 0 end
local ours = call('HEXISTS', K.held(), hold_of(id, attempt)) == 1
  or booking_of(bookings_of(id), request_id, attempt) ~= nil
  or (attempt ~= '' and attempt == image[2])
if not ours then return 0 end
local at = now_ms()
keep_at_fal(request_id, id, delay, at)
delete_at_fal(request_id, at + delay)
return 1
