package cluster

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/gomodule/redigo/redis"

	"crier/io/jobs"
)

const (
	// queueRead is how many jobs are read at once.
	queueRead = 500
	// followInterval is how often it is looked for new jobs.
	followInterval = 20 * time.Millisecond
)

// Queue is the [jobs.Queue] of the callbacks, in Redis. All nodes add to it, by the [Attendance]; the leader works it off. Each
// is for one term of it, after which all fails with ErrDeposed.
//
// P:j is a stream whose ids are the numbers of the jobs, which are positions; P:js has what has become of one that was tried.
type Queue struct {
	node *Node
	term *Term
	ctx  context.Context
	last uint64 // the greatest number that Each has seen; then of Follow
}

var _ jobs.Queue = (*Queue)(nil)

// NewQueue returns the queue for a term.
func NewQueue(t *Term) *Queue { return &Queue{node: t.node, term: t, ctx: t.ctx} }

// addScript adds jobs, and answers their numbers.
var addScript = termScript("add jobs", `
	local ids = {}
	for i = 5, #ARGV do
		ids[i - 4] = text(position())
		redis.call('XADD', P .. ':j', ids[i - 4] .. '-0', 'm', ARGV[i])
	end
	return ids
`)

// Add implements [jobs.Queue].
func (q *Queue) Add(all []jobs.Job) error {
	args := make([]any, len(all))
	for i := range all {
		args[i] = appendJob(nil, &all[i])
	}
	reply, err := q.term.run(q.ctx, addScript, args...)
	ids, err := redis.Strings(reply, err)
	if err == nil && len(ids) != len(all) {
		err = errNotJob
	}
	for i := 0; i < len(ids) && err == nil; i++ {
		all[i].ID, err = strconv.ParseUint(ids[i], 10, 64)
	}
	if err != nil {
		return fmt.Errorf("adding jobs: %w", err)
	}
	return nil
}

// getScript answers a job, and what has become of it.
var getScript = termScript("get a job", `
	local id = ARGV[5]
	local found = redis.call('XRANGE', P .. ':j', id, id)
	if #found == 0 then return {} end
	return {found[1][2][2], redis.call('HGET', P .. ':js', id)}
`)

// Get implements [jobs.Queue].
func (q *Queue) Get(id uint64) (jobs.Job, error) {
	reply, err := q.term.run(q.ctx, getScript, id)
	parts, err := redis.ByteSlices(reply, err)
	if err == nil && len(parts) == 0 {
		err = jobs.ErrNotFound
	}
	var job jobs.Job
	if err == nil {
		job, err = assemble(id, parts)
	}
	if err != nil {
		return jobs.Job{}, fmt.Errorf("getting job %d: %w", id, err)
	}
	return job, nil
}

// assemble makes a job of its record and what has become of it, which may be missing.
func assemble(id uint64, parts [][]byte) (jobs.Job, error) {
	job, err := parseJob(parts[0])
	if err == nil && len(parts) > 1 && parts[1] != nil {
		payload := job.Payload
		job, err = parseJob(parts[1])
		job.Payload = payload
	}
	job.ID = id
	return job, err
}

// saveScript notes what has become of jobs: of each its number and the record. It answers the number of one that is not there, or 0.
var saveScript = termScript("save jobs", `
	for i = 5, #ARGV, 2 do
		if #redis.call('XRANGE', P .. ':j', ARGV[i], ARGV[i]) == 0 then return ARGV[i] end
	end
	for i = 5, #ARGV, 2 do redis.call('HSET', P .. ':js', ARGV[i], ARGV[i + 1]) end
	return '0'
`)

// Save implements [jobs.Queue]. Payloads do not change.
func (q *Queue) Save(all ...jobs.Job) error {
	args := make([]any, 0, 2*len(all))
	for _, job := range all {
		job.Payload = nil
		args = append(args, job.ID, appendJob(nil, &job))
	}
	missing, err := redis.String(q.term.run(q.ctx, saveScript, args...))
	if err == nil && missing != "0" {
		err = fmt.Errorf("%s: %w", missing, jobs.ErrNotFound)
	}
	if err != nil {
		return fmt.Errorf("saving jobs: %w", err)
	}
	return nil
}

var removeScript = termScript("remove jobs", `
	for i = 5, #ARGV do
		redis.call('XDEL', P .. ':j', ARGV[i])
		redis.call('HDEL', P .. ':js', ARGV[i])
	end
`)

// Remove implements [jobs.Queue].
func (q *Queue) Remove(ids ...uint64) error {
	if len(ids) == 0 {
		return nil
	}
	args := make([]any, len(ids))
	for i, id := range ids {
		args[i] = id
	}
	if _, err := q.term.run(q.ctx, removeScript, args...); err != nil {
		return fmt.Errorf("removing jobs: %w", err)
	}
	return nil
}

// eachScript answers jobs behind a number, up to so many: of each the number, the record, and what has become of it.
var eachScript = termScript("read jobs", `
	local list = {}
	for _, one in ipairs(redis.call('XRANGE', P .. ':j', '(' .. ARGV[5], '+', 'COUNT', ARGV[6])) do
		local id = string.match(one[1], '^%d+')
		list[#list + 1] = {id, one[2][2], redis.call('HGET', P .. ':js', id)}
	end
	return list
`)

// Each implements [jobs.Queue].
func (q *Queue) Each(fn func(jobs.Job) error) error {
	for {
		some, err := q.next(fn)
		if err != nil || some < queueRead {
			return err
		}
	}
}

// next calls fn for jobs behind the last one, and returns how many there were.
func (q *Queue) next(fn func(jobs.Job) error) (int, error) {
	list, err := redis.Values(q.term.run(q.ctx, eachScript, q.last, queueRead))
	if err != nil {
		return 0, fmt.Errorf("reading jobs: %w", err)
	}
	for _, one := range list {
		parts, err := redis.ByteSlices(one, nil)
		if err != nil || len(parts) < 2 {
			return 0, errNotJob
		}
		id, err := strconv.ParseUint(string(parts[0]), 10, 64)
		if err != nil {
			return 0, errNotJob
		}
		job, err := assemble(id, parts[1:])
		if err == nil {
			err = fn(job)
		}
		if err != nil {
			return 0, fmt.Errorf("reading job %d: %w", id, err)
		}
		q.last = id
	}
	return len(list), nil
}

// Follow calls take with the jobs that others have added since Each, in order, until the term or ctx ends. It is for one
// goroutine; failed is told of errors, once a minute; it goes on.
func (q *Queue) Follow(ctx context.Context, take func(jobs.Job), failed func(error)) {
	ticker := time.NewTicker(followInterval)
	defer ticker.Stop()
	var said time.Time // when failed was told the last time
	for {
		n, err := q.next(func(job jobs.Job) error {
			take(job)
			return nil
		})
		known := errors.Is(err, ErrAway) || errors.Is(err, ErrFenced) || errors.Is(err, ErrDeposed)
		over := ctx.Err() != nil || q.ctx.Err() != nil // which may have cut it short
		if err != nil && !over && !known && time.Since(said) >= awayInterval {
			said = time.Now()
			failed(err)
		}
		if n == queueRead {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-q.term.Done():
			return
		case <-ticker.C:
		}
	}
}

// deposed makes ErrDeposed of what Redis says to who is not the leader any more.
func deposed(err error) error {
	var said redis.Error
	if errors.As(err, &said) && strings.HasPrefix(string(said), "DEPOSED") {
		return ErrDeposed
	}
	return err
}
