-- Ends a key for all processes, from this moment. Its record stays, for the list. {digest}
local digest = unpack(cmsgpack.unpack(ARGV[1]))
if call('EXISTS', K.api_key(digest)) == 0 then return 0 end
call('HSETNX', K.api_key(digest), 'revoked_at', now_ms())
return 1
