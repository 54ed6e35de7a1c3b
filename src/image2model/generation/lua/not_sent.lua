-- The process that was about to POST knows that FAL has received nothing, whether its mark was stored or not.
-- Fenced by the attempt, like the id of a request. {image_id, attempt_token} Returns 1 when the mark is gone.
local id, attempt_token = unpack(cmsgpack.unpack(ARGV[1]))
local image = K.image(id)
local head = call('HMGET', image, 'attempt_token', 'request_id', 'status', 'fence')
if head[1] ~= attempt_token or text(head[2]) ~= '' or not UNFINISHED[text(head[3])] then return 0 end
call('HSET', image, 'posting_at', '')
-- no worker holds it: it was released as one that FAL may have
if text(head[4]) == '' then
  release_permit(id)
  if head[3] == 'preparing' then move(id, 'queued', {}, now_ms()) end
end
return 1
