-- The process that was about to POST knows that it did not, whether its mark was stored or not. Fenced by the
-- attempt, like the id of what was POSTed. {image_id, attempt_token} -> 1 when the mark is gone.
local id, attempt_token = unpack(cmsgpack.unpack(ARGV[1]))
local head = call('HMGET', K.image(id), 'attempt_token', 'request_id', 'status')
if head[1] ~= attempt_token or text(head[2]) ~= '' or not UNFINISHED[text(head[3])] then return 0 end
call('HSET', K.image(id), 'posting_at', '')
return 1
