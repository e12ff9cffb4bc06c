-- next returns places and letters of a user's, in turn: behind the place ARGV[6], at most ARGV[7] of them, and no more bytes of
-- messages than ARGV[8], of which each letter begins with the number, but one in any case; and at last how far it has looked.
-- ARGV[5] is the uid.

local after, count, room = ARGV[6], tonumber(ARGV[7]), tonumber(ARGV[8])
local answer, found = {}, 0
while found < count do
  local list = redis.call('ZRANGE', K .. 'i:' .. ARGV[5], '(' .. after, '+inf', 'BYSCORE', 'LIMIT', 0, count - found, 'WITHSCORES')
  if #list == 0 then break end
  for i = 1, #list, 2 do
    local letter = redis.call('GET', K .. 'b:' .. list[i])
    if letter then
      room = room - struct.unpack('>I4', letter)
      if room < 0 and found > 0 then return answer end
      found = found + 1
      answer[2 * found - 1], answer[2 * found] = list[i + 1], letter
    end
    after = list[i + 1]
  end
end
return answer
