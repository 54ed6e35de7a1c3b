-- Stores a new API key. {digest, fields, ttl_ms (0: never expires)}. Returns the creation time in ms.
local digest, fields, ttl = unpack(cmsgpack.unpack(ARGV[1]))
local at = now_ms()
call('HSET', K.api_key(digest), 'created_at', at, 'expires_at', ttl > 0 and at + ttl or '', unpack(fields))
call('ZADD', K.api_keys(), at, digest)
return at
