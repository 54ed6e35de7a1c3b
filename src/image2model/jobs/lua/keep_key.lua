-- A short-lived key that its holder renews or gives up. {key, token, ttl_ms}; a ttl of 0 gives it up.
-- Returns 0 where the key is another's by now.
local name, token, ttl = unpack(cmsgpack.unpack(ARGV[1]))
if call('GET', name) ~= token then return 0 end
if ttl == 0 then return call('DEL', name) end
return call('PEXPIRE', name, ttl)
