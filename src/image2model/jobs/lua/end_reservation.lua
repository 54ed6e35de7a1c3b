-- Ends a reservation. {token, made} `made`: its jobs exist, and the idempotency key stands for them from now on; else it is
-- free again. Their entries in lists go when housekeeping finds no job for them.
-- Returns 1, or 0 where it has ended already.
local token, made = unpack(cmsgpack.unpack(ARGV[1]))
local entry = close_reservation(token)
if not entry then return 0 end
local idem = entry[3]
local name = idem and named_plainly(idem[1])
if idem and call('GET', name) == idem[4] then
  if made then
    call('SET', name, idem[2], 'PX', idem[3])
  else
    call('DEL', name)
  end
end
return 1
