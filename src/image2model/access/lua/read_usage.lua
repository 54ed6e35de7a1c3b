-- What an owner uses, and an address. {owner, period, address or ''}
-- -> {unfinished images, spent in the period, set aside, unfinished images of the address}
local owner, period, address = unpack(cmsgpack.unpack(ARGV[1]))
local usage = usage_of(owner, period, now_ms())
usage[4] = unfinished_at(address)
return cmsgpack.pack(usage)
