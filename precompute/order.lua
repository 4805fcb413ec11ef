-- Appends one record to an update log without touching any row, and trims the log by time as put.lua does.
-- KEYS: the log.  ARGV: retention in ms, what the record names. Returns the record's id.
local id = redis.call('XADD', KEYS[1], '*', 'e', ARGV[2])
local now = tonumber(string.sub(id, 1, string.find(id, '-', 1, true) - 1))
redis.call('XTRIM', KEYS[1], 'MINID', '~', string.format('%d', now - tonumber(ARGV[1])))
return id
