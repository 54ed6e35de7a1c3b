-- Removes a job from its owner's lists. {owner, job_id, tokens, at}, see `unlist_job`.
unlist_job(unpack(cmsgpack.unpack(ARGV[1])))
return 1
