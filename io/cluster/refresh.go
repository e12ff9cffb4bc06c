package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gomodule/redigo/redis"

	"crier/io/hub"
)

func (s *Sessions) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// run sees to what is to be noted, now and then, and soon if something could not be.
func (s *Sessions) run(ctx context.Context) {
	timer := time.NewTimer(RefreshInterval)
	defer timer.Stop()
	due := time.Now().Add(RefreshInterval)
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-s.wake:
			if !pause(ctx, retryInterval/10) { // more may be coming
				return
			}
		}
		next := RefreshInterval
		if s.Up() {
			s.catchUp()
			if !time.Now().Before(due) {
				due = time.Now().Add(RefreshInterval)
				if err := s.refresh(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, ErrAway) {
					s.log.Warn("it could not be noted how far clients are", "error", err)
				}
			}
			next = time.Until(due)
		}
		if s.behind() {
			next = min(next, retryInterval)
		}
		timer.Reset(max(next, retryInterval/10))
	}
}

// pause waits, unless ctx ends.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// behind tells whether there is something to be tried again.
func (s *Sessions) behind() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.unsaved)+len(s.dead) > 0
}

// catchUp tries again what could not be done.
func (s *Sessions) catchUp() {
	s.mu.Lock()
	unsaved, dead := s.unsaved, s.dead
	s.unsaved, s.dead = make(map[string]bool), make(map[string]bool)
	s.mu.Unlock()
	for pid := range dead {
		s.Forget(pid)
	}
	for pid := range unsaved {
		s.hub.SaveSession(pid)
	}
}

// refresh notes how far all connections are. It first has the position go on: nothing that is to come has an earlier one.
func (s *Sessions) refresh(ctx context.Context) error {
	if err := s.mark(ctx); err != nil {
		return err
	}
	begun := time.Since(s.start)
	var batch []any
	var failed error
	flush := func() {
		if len(batch) > 0 && failed == nil {
			failed = s.refreshSome(ctx, batch)
		}
		batch = batch[:0]
	}
	s.hub.Tracks(func(one hub.Recoverable) {
		batch = append(batch, one.PID, uint64(one.Last), uint64(one.Left))
		if len(batch) >= 3*refreshBatch {
			flush()
		}
	})
	flush()
	if failed == nil {
		s.sure.Store(int64(begun))
	}
	return failed
}

// mark adds an entry to the node's stream and waits until it has been carried out.
func (s *Sessions) mark(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, claimTimeout)
	defer cancel()
	done := make(chan struct{})
	s.mu.Lock()
	s.number++
	number := s.number
	s.marks[number] = done
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.marks, number)
	}()
	if _, err := s.node.Append(ctx, "s:"+s.node.Name(), KindMark, number, nil); err != nil {
		return err
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for a mark: %w", ctx.Err())
	}
}

// refreshSome notes how far some are: pids, each with Last and Left.
func (s *Sessions) refreshSome(ctx context.Context, batch []any) error {
	missing, err := redis.Strings(s.node.Run(ctx, refreshSessionsScript, append([]any{s.ttl()}, batch...)...))
	if err != nil {
		return err
	}
	for _, pid := range missing {
		s.hub.SaveSession(pid)
	}
	return nil
}

// saveSessionScript: pid, user, session, Last, Left, the path if nothing was kept, for how many milliseconds it is kept. It answers
// whether this node has the session.
var saveSessionScript = nodeScript("save session", `
	local key = P .. ':r:' .. ARGV[4]
	local owner = redis.call('HGET', key, 'o')
	if owner and owner ~= NODE then return 0 end
	if not owner then redis.call('HSET', key, 'o', NODE, 'p', ARGV[9]) end
	redis.call('HSET', key, 'u', ARGV[5], 's', ARGV[6], 'l', ARGV[7], 'f', ARGV[8])
	redis.call('HDEL', key, 'k')
	redis.call('PEXPIRE', key, ARGV[10])
	return 1
`)

// forgetSessionScript: pid.
var forgetSessionScript = nodeScript("forget session", `
	local key = P .. ':r:' .. ARGV[4]
	if redis.call('HGET', key, 'o') == NODE then redis.call('DEL', key) end
	return 0
`)

// refreshSessionsScript: for how many milliseconds sessions are kept, then pid, Last and Left of each. It answers the pids of those
// that are not there.
var refreshSessionsScript = nodeScript("refresh sessions", `
	local missing = {}
	for i = 5, #ARGV, 3 do
		local key = P .. ':r:' .. ARGV[i]
		local owner = redis.call('HGET', key, 'o')
		if not owner then
			missing[#missing + 1] = ARGV[i]
		elseif owner == NODE then
			redis.call('HSET', key, 'l', ARGV[i + 1], 'f', ARGV[i + 2])
			redis.call('PEXPIRE', key, ARGV[4])
		end
	end
	return missing
`)

// claimSessionScript: pid, whether the node has the session, then in microseconds the window, how long streams are kept and how long a
// claim holds, in milliseconds how long the session is kept, and the frames of an entry that takes it away and of one that has the node
// take it over, which lacks its body. It answers a word, or the position of the latter.
//
// From there on the user's messages come to this node, for as long as he can be away: whether he is logged in here already or not.
var claimSessionScript = nodeScript("claim session", `
	local pid, mine, hold = ARGV[4], ARGV[5] == '1', tonumber(ARGV[8])
	local key = P .. ':r:' .. pid
	local r = redis.call('HMGET', key, 'o', 'u', 's', 'l', 'f', 'p', 'k')
	local owner, uid = r[1], r[2]
	if not owner then return 'none' end
	if mine and owner == NODE then return 'mine' end
	if r[7] and now() - tonumber(r[7]) < hold then return 'busy' end
	local lines, path = {}, ''
	for since, node in string.gmatch(r[6], '(%d+) ([^\n]*)\n') do lines[#lines + 1] = {since, node} end
	for i, line in ipairs(lines) do
		if i == #lines or tonumber(lines[i + 1][1]) >= now() - ARGV[7] then path = path .. line[1] .. ' ' .. line[2] .. '\n' end
	end
	if owner ~= NODE then append('s:' .. owner, ARGV[10]) end
	if uid ~= '' then
		local user = P .. ':u:' .. uid
		local left = redis.call('PTTL', user)
		redis.call('HSET', user, 'l:' .. NODE, text(now() + ARGV[6]))
		if left ~= -1 then redis.call('PEXPIRE', user, text(math.max(left, ARGV[6] / 1000))) end
	end
	local at = append('s:' .. NODE, ARGV[11] .. r[3] .. '\n' .. r[4] .. ' ' .. r[5] .. '\n' .. path)
	redis.call('HSET', key, 'o', NODE, 'k', text(now()), 'p', path .. text(at) .. ' ' .. NODE .. '\n')
	redis.call('PEXPIRE', key, ARGV[9])
	return text(at)
`)
