-- FAL's webhook tells how a request ended. {image_id, attempt_token, request_id, text} -> 1 when it was kept.
-- Nothing that a client sees changes: whoever follows the request looks here where FAL's queue denies it.
local id, attempt_token, request_id, told = unpack(cmsgpack.unpack(ARGV[1]))
local head = call('HMGET', K.image(id), 'attempt_token', 'request_id', 'status')
if head[1] ~= attempt_token or head[2] ~= request_id or not UNFINISHED[text(head[3])] then return 0 end
call('HSET', K.image(id), 'fal_callback', told)
return 1
