-- Books what one request to FAL cost. See `book`.
-- {image_id, owner or false, model or false, request_id, attempt or '', micro or false, uncertain, nonce}
-- Fenced by the request alone: the money is spent, whichever worker holds the image. The image's next move publishes
-- the cost; a final image does not move, so the change is published here.
-- Returns {1 booked | 0 booked already | -1 neither the image nor a hold is known, micro, overrun, model}.
local id, owner, model, request_id, attempt, micro, uncertain, nonce = unpack(cmsgpack.unpack(ARGV[1]))
local image, at = K.image(id), now_ms()
buffer_image(id)
local before = call('HMGET', image, 'status', 'job_id', 'cost_micro', 'cost_uncertain')
-- what a finished job's last event shows is kept, should the booking change it
local final = FINISHED[text(before[1])] and call('EXISTS', K.job(before[2])) == 1
if final and not booking_of(bookings_of(id), request_id, attempt) then keep_completion(before[2]) end
local booked = book(id, owner, model, request_id, attempt, micro, uncertain, nonce, at)
if final then
  local after = call('HMGET', image, 'cost_micro', 'cost_uncertain')
  if after[1] ~= before[3] or after[2] ~= before[4] then
    emit_image(before[2], id, at)
    -- a stream ends with `complete`, which holds the whole job
    if text(call('HGET', K.job(before[2]), 'finished_at')) ~= '' then emit_complete(before[2], at) end
  end
end
return cmsgpack.pack(booked)
