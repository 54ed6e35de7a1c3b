-- Nobody follows this request any more. {request_id} It is deleted at FAL if it is kept there.
local request_id = unpack(cmsgpack.unpack(ARGV[1]))
delete_at_fal(request_id, now_ms())
return 1
