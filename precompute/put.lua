-- Stores feature rows of one view and logs what changed, atomically.
-- KEYS: the log, then a row key for each row.  ARGV: retention in ms, then for each row: entity, event time (8 bytes), payload.
-- An empty payload deletes the row. Returns a letter for each row:
--   w written, u unchanged (event time moved on), l late (older than what is stored), d deleted, a was absent already
local log = KEYS[1]
local rows = #KEYS - 1
local last
local letters = {}
for i = 1, rows do
  local key, at = KEYS[i + 1], 3 * i - 1
  local entity, event, payload = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  local old = redis.call('GET', key)
  local letter
  if payload == '' then
    letter = old and 'd' or 'a'
  elseif not old then
    letter = 'w'
  elseif struct.unpack('<i8', event) < struct.unpack('<i8', old) then
    letter = 'l'
  elseif string.sub(old, 21) == payload then
    letter = 'u'
    if string.sub(old, 1, 8) ~= event then redis.call('SETRANGE', key, 0, event) end
  else
    letter = 'w'
  end
  if letter == 'w' or letter == 'd' then
    if letter == 'd' then
      last = redis.call('XADD', log, '*', 'e', entity, 'd', '')
      redis.call('DEL', key)
    else
      last = redis.call('XADD', log, '*', 'e', entity)
      local dash = string.find(last, '-', 1, true)
      local id = struct.pack('<I8I4', tonumber(string.sub(last, 1, dash - 1)), tonumber(string.sub(last, dash + 1)))
      redis.call('SET', key, event .. id .. payload)
    end
  end
  letters[i] = letter
end
if last then
  local now = tonumber(string.sub(last, 1, string.find(last, '-', 1, true) - 1))
  redis.call('XTRIM', log, 'MINID', '~', string.format('%d', now - tonumber(ARGV[1])))
end
return table.concat(letters)
