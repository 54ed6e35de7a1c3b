-- Writes private fields of an image, fenced and without an event. {image_id, token, fields, stamp or false}
-- `stamp` names a field that gets the store's time. Returns the time written, or 0 if another worker holds the image or
-- it is final.
local id, token, fields, stamp = unpack(cmsgpack.unpack(ARGV[1]))
if not holds_fence(id, token) then return 0 end
if FINISHED[call('HGET', K.image(id), 'status')] then return 0 end
local at = now_ms()
if #fields > 0 then call('HSET', K.image(id), unpack(fields)) end
if stamp then call('HSET', K.image(id), stamp, at) end
return at
