-- Counts a chunk of a job once, however often it was computed, and closes the job after its last chunk.
-- KEYS: progress, done bits, failures, record, attempts, the chunk (left out when the list of keys is complete)
-- ARGV: now in ms, seconds to keep a finished job, most failures named; then chunk number, written, failed, failures...
-- Returns 0 if the chunk was counted before or the job is gone, 1 if it is counted now, 2 if that finished the job.
local progress, done, failures = KEYS[1], KEYS[2], KEYS[3]
if redis.call('EXISTS', KEYS[4]) == 0 then return 0 end
local function let_expire()
  for i = 1, 5 do redis.call('EXPIRE', KEYS[i], ARGV[2]) end
end
if #KEYS == 6 then
  if redis.call('SETBIT', done, ARGV[4], 1) == 1 then return 0 end
  redis.call('DEL', KEYS[6])
  redis.call('HINCRBY', progress, 'chunks_done', 1)
  redis.call('HINCRBY', progress, 'written', ARGV[5])
  redis.call('HINCRBY', progress, 'failed', ARGV[6])
  redis.call('HSET', progress, 'active_ms', ARGV[1])
  local room = tonumber(ARGV[3]) - redis.call('LLEN', failures)
  for i = 7, math.min(#ARGV, 6 + room) do redis.call('RPUSH', failures, ARGV[i]) end
else
  redis.call('HSET', progress, 'listed', 1)
end
local state = redis.call('HMGET', progress, 'listed', 'chunks', 'chunks_done', 'finished_ms')
if state[4] then
  -- Cancelled meanwhile: what was just written anew must expire like the rest.
  let_expire()
  return 1
end
if state[1] ~= '1' or tonumber(state[2] or 0) > tonumber(state[3] or 0) then return 1 end
redis.call('HSET', progress, 'finished_ms', ARGV[1])
let_expire()
return 2
