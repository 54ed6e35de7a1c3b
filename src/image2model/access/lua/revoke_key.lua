-- Revokes a key at once for all processes. The record stays, for the list. {digest} -> 1, or 0: no such key
local digest = unpack(cmsgpack.unpack(ARGV[1]))
if call('EXISTS', K.api_key(digest)) == 0 then return 0 end
call('HSETNX', K.api_key(digest), 'revoked_at', now_ms())
return 1
