-- An image's fields, its job's, and the store's time, in one round trip.
-- {image_id, {fields of the image, job_id first}, {fields of the job}}
local id, of_image, of_job = unpack(cmsgpack.unpack(ARGV[1]))
local image = call('HMGET', K.image(id), unpack(of_image))
return {image, call('HMGET', K.job(text(image[1])), unpack(of_job)), now_ms()}
