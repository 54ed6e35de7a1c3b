-- Stores what FAL's webhook reports about the end of a request. {image_id, attempt_token, request_id, report}
-- Returns 1 if it was stored. Nothing that a client sees changes: the worker that follows the request reads it when
-- FAL's queue denies the request.
local id, attempt_token, request_id, report = unpack(cmsgpack.unpack(ARGV[1]))
local head = call('HMGET', K.image(id), 'attempt_token', 'request_id', 'status')
if head[1] ~= attempt_token or head[2] ~= request_id or not UNFINISHED[text(head[3])] then return 0 end
call('HSET', K.image(id), 'fal_callback', report)
return 1
