-- note adds to receipts, or begins some. Each has: mid; when it was pushed in ms since 1970, or nothing for a receipt that is
-- there or of no interest; the users and connections that matched; how many took it on this node; and how many users and connections
-- acknowledged it, or nothing twice.

local at = 5
while ARGV[at] do
  local mid = ARGV[at]
  local m = K .. 'm:' .. mid
  local is = redis.call('HMGET', m, 'at', 'st')
  local more, new = ARGV[at + 1] == '', false
  if not more and not is[2] then -- what the script that stores a message has counted, is counted
    new = not is[1]
    redis.call('HSET', m, 'at', ARGV[at + 1], 'us', ARGV[at + 2], 'cn', ARGV[at + 3])
  end
  if is[1] or not more then redis.call('HSET', m, 'd:' .. NODE, ARGV[at + 4]) end
  if ARGV[at + 5] ~= '' then redis.call('HSET', m, 'au', ARGV[at + 5], 'ac', ARGV[at + 6]) end
  if new then
    index(mid, KEEP)
    retire(mid, 0)
  end
  at = at + 7
end
account()
