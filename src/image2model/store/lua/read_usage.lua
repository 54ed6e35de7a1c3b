-- What an owner uses. {owner, period} -> {unfinished images, spent in the period, set aside}
local owner, period = unpack(cmsgpack.unpack(ARGV[1]))
return cmsgpack.pack(usage_of(owner, period, now_ms()))
