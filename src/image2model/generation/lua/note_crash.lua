-- The process that decoded a suspect's picture has died, and only this picture was in it. {image_id, token}
-- Returns how often that has happened, counted once for each run; 0 if another worker holds the image.
local id, token = unpack(cmsgpack.unpack(ARGV[1]))
if not holds_fence(id, token) then return 0 end
local image = K.image(id)
if call('HGET', image, 'crashed_by') ~= token then
  count_up(id, 'crashes')
  -- its crash is counted: the death of a worker must not be counted too
  call('HSET', image, 'crashed_by', token, 'hazard', '', 'hazard_deaths', 1)
end
return num(call('HGET', image, 'crashes'))
