-- What an owner and an address use. {owner, period, address or ''}
-- -> {unfinished images, spent in the period, reserved, unfinished images of the address}
local owner, period, address = unpack(cmsgpack.unpack(ARGV[1]))
local usage = usage_of(owner, period, now_ms())
usage[4] = unfinished_at(address)
return cmsgpack.pack(usage)
