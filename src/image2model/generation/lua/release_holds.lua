-- Releases what is held for attempts that FAL has not billed in time. {limit} Returns how many.
local limit = unpack(cmsgpack.unpack(ARGV[1]))
local due = call('ZRANGEBYSCORE', K.holds(), '-inf', now_ms(), 'LIMIT', 0, limit)
for _, name in ipairs(due) do release_hold(name) end
return #due
