-- sweep settles letters that have expired and forgets old receipts, about ARGV[5] of them, or one message for many users.
-- ARGV[6] is how many receipts there may be, each counted once and for each of its users. It returns 1 if there is more.

local left, most = tonumber(ARGV[5]), tonumber(ARGV[6])
while left > 0 do
  local mid = redis.call('ZRANGE', K .. 'x', '-inf', text(ms), 'BYSCORE', 'LIMIT', 0, 1)[1]
  if not mid then break end
  left = left - 1 - finish(mid, '2')
end
local retired = tonumber(redis.call('HGET', K .. 'tot', 're') or 0)
while left > 0 do
  local head = redis.call('LINDEX', K .. 'ret', 0)
  if not head then break end
  local due, weight, mid = string.match(head, '^(%d+):(%d+):(.*)$')
  if tonumber(due) > ms and retired + tot.re <= most then break end
  redis.call('LPOP', K .. 'ret')
  if redis.call('HGET', K .. 'm:' .. mid, 're') == due then redis.call('DEL', K .. 'm:' .. mid) end
  tot.re = tot.re - weight
  left = left - 1
end
account()
return left > 0 and 0 or 1
