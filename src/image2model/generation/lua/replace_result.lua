-- Replaces the result of a succeeded image: files that were missing have been fetched. {image_id, before, after}, both
-- JSON. With nothing missing any more, the request is deleted at FAL. Returns 1, also if it is replaced already; 0 if the image has another result by now; -1 if it has none, or its
-- job is gone.
local id, before, after = unpack(cmsgpack.unpack(ARGV[1]))
local image = K.image(id)
local head = call('HMGET', image, 'status', 'job_id', 'result', 'request_id')
if head[1] ~= 'succeeded' or not head[2] then return -1 end
local job = call('HMGET', K.job(head[2]), 'deleted', 'finished_at', 'owner')
if text(job[1]) == '1' or not job[3] then return -1 end
if head[3] == after then return 1 end
if head[3] ~= before then return 0 end
local at = now_ms()
buffer_image(id)
keep_completion(head[2])
call('HSET', image, 'result', after)
emit_image(head[2], id, at)
if text(job[2]) ~= '' then emit_complete(head[2], at) end
if not lacks_files(after) then delete_at_fal(head[4], at) end
return 1
