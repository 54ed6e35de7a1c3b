-- One fenced move of an image. {image_id, token, to, fields, unknown} `unknown`: only while FAL's id is not known.
-- Returns 1 done; 2 done, and a cancel was requested; 0 another worker holds the image; -1 the move is illegal; -3 the
-- id is known by now.
local id, token, to, fields, unknown = unpack(cmsgpack.unpack(ARGV[1]))
buffer_image(id)
if not holds_fence(id, token) then return 0 end
local head = call('HMGET', K.image(id), 'status', 'request_id')
if FINISHED[head[1]] then return -1 end
if unknown and text(head[2]) ~= '' then return -3 end
local at = now_ms()
if not move(id, to, fields, at) then return -1 end
if head[1] == 'storing' and to == 'succeeded' then endpoint_delivered(model_of(id), at) end
if text(call('HGET', K.image(id), 'cancel_requested')) == '1' then return 2 end
return 1
