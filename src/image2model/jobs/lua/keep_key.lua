-- Renews or releases a reserved key. {{owner, key}, token, ttl_ms}; a TTL of 0 releases it.
-- Returns 0 where the key no longer holds this token.
local of, token, ttl = unpack(cmsgpack.unpack(ARGV[1]))
local name = K.idempotency(unpack(of))
if call('GET', name) ~= token then return 0 end
if ttl == 0 then return call('DEL', name) end
return call('PEXPIRE', name, ttl)
