-- Draws the conclusions about FAL's limits that no event draws, and lets images that wait for their endpoint's window go
-- on where it has room. {concurrency, pause_ms}, at most once in `pause_ms` for the whole fleet. Returns the limit.
local concurrency, pause = unpack(cmsgpack.unpack(ARGV[1]))
if not call('SET', K.window_told(), 1, 'NX', 'PX', pause) then return learned_limit() end
learn(now_ms())
local limits = window_of(concurrency, learned_limit()).limits
for _, model in ipairs(call('SMEMBERS', K.window_models())) do
  local room = 1000
  if limits[model] then
    room = limits[model] + 2 - (count_limited(limits, K.permits(), K.ahead())[model] or 0)
  end
  if room > 0 then release_window_waiters(model, room) end
end
return learned_limit()
