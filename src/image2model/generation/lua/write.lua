-- Writes private fields of an image, fenced and without an event. {image_id, token, fields, stamp or false}
-- `stamp` names a field that gets the store's time. Returns the time written, or 1 where none is asked for; 0 if another
-- worker holds the image or it is final.
local id, token, fields, stamp = unpack(cmsgpack.unpack(ARGV[1]))
local head = call('HMGET', K.image(id), 'fence', 'status')
if token == '' or head[1] ~= token or FINISHED[head[2]] then return 0 end
local at = 1
if stamp then
  at = now_ms()
  fields[#fields + 1] = stamp
  fields[#fields + 1] = at
end
call('HSET', K.image(id), unpack(fields))
return at
