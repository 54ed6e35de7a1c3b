-- One fenced move of an image. {image_id, token, to, fields, {statuses it may come from} or false}
-- Returns 1 done, 0 the fence is another's, -1 the move is illegal, 2 done and a cancel was asked for.
local id, token, to, fields = unpack(cmsgpack.unpack(ARGV[1]))
if not holds(id, token) then return 0 end
local status = call('HGET', K.image(id), 'status')
if FINISHED[status] then return -1 end
if not move(id, to, fields, now_ms()) then return -1 end
if text(call('HGET', K.image(id), 'cancel_requested')) == '1' then return 2 end
return 1
