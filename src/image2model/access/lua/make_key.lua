-- A new API key's record. {digest, fields, life_ms, 0: for ever}. Returns when it was made, in ms.
local digest, fields, life = unpack(cmsgpack.unpack(ARGV[1]))
local at = now_ms()
call('HSET', K.api_key(digest), 'created_at', at, 'expires_at', life > 0 and at + life or '', unpack(fields))
call('ZADD', K.api_keys(), at, digest)
return at
