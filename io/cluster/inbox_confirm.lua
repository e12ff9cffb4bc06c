-- confirm says that users have got messages. For each user there are: the uid, the number of places, and these.

local at = 5
while ARGV[at] do
  local uid, n = ARGV[at], tonumber(ARGV[at + 1])
  for i = at + 2, at + 1 + n do
    local mid = redis.call('ZRANGEBYSCORE', K .. 'i:' .. uid, ARGV[i], ARGV[i], 'LIMIT', 0, 1)[1]
    if mid then settle(uid, mid, '1') end
  end
  at = at + 2 + n
end
account()
