-- Creates the jobs of one request as a whole, in their cell: their hashes, their tasks in the queue, their events, and what
-- is fetched for them first. All are made, or none. Step 2 of three, see `reserve_jobs`.
-- {owner, jobs, {the first start tag of each}, allowance or false, at, fetches}, see `make_job` and `make_fetch`. `at`:
-- when they were reserved, and the time from which they exist.
-- Returns 1, also for a repetition; 0 where the first job was forbidden, and nothing is made.
local owner, jobs, scores, allowance, at, fetches = unpack(cmsgpack.unpack(ARGV[1]))
if call('EXISTS', K.job(jobs[1][1])) == 1 then return 1 end
if forbids_any(jobs) then return 0 end
for _, fetch in ipairs(fetches) do make_fetch(unpack(fetch)) end
for i, job in ipairs(jobs) do make_job(owner, job, scores[i], allowance, at) end
return 1
