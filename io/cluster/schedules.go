package cluster

import (
	"fmt"

	"github.com/gomodule/redigo/redis"
)

// scheduleRead is how many schedules are read at once.
const scheduleRead = 500

// Schedules keep a record for each timed push, in Redis, in the hash P:schedules. They are for one term of the leader, after which all
// fails with ErrDeposed. What a record says is for its owner to know.
type Schedules struct{ term *Term }

// NewSchedules returns the timed pushes for a term.
func NewSchedules(t *Term) *Schedules { return &Schedules{t} }

// recordScript stores records: of each the id, 1 or 0 to remove it, and the record.
var recordScript = termScript("store timed pushes", `
	for i = 5, #ARGV, 3 do
		if ARGV[i + 1] == '1' then
			redis.call('HSET', P .. ':schedules', ARGV[i], ARGV[i + 2])
		else
			redis.call('HDEL', P .. ':schedules', ARGV[i])
		end
	end
`)

// Save stores records by their ids, all or none; nil removes one. It returns when Redis has them.
func (s *Schedules) Save(records map[string][]byte) error {
	args := make([]any, 0, 3*len(records))
	for id, record := range records {
		there := 1
		if record == nil {
			there = 0
		}
		args = append(args, id, there, record)
	}
	if _, err := s.term.run(s.term.ctx, recordScript, args...); err != nil {
		return fmt.Errorf("storing timed pushes: %w", err)
	}
	return nil
}

var (
	idsScript  = termScript("list timed pushes", `return redis.call('HKEYS', P .. ':schedules')`)
	readScript = termScript("read timed pushes", `return redis.call('HMGET', P .. ':schedules', unpack(ARGV, 5))`)
)

// Each calls fn for every record, in no order, until fn returns an error, which it passes on.
func (s *Schedules) Each(fn func(id string, record []byte) error) error {
	ids, err := redis.Strings(s.term.run(s.term.ctx, idsScript))
	if err != nil {
		return fmt.Errorf("listing timed pushes: %w", err)
	}
	for len(ids) > 0 {
		some := ids[:min(len(ids), scheduleRead)]
		ids = ids[len(some):]
		args := make([]any, len(some))
		for i, id := range some {
			args[i] = id
		}
		records, err := redis.ByteSlices(s.term.run(s.term.ctx, readScript, args...))
		if err != nil || len(records) != len(some) {
			return fmt.Errorf("reading timed pushes: %w", err)
		}
		for i, id := range some {
			if err := fn(id, records[i]); err != nil {
				return err
			}
		}
	}
	return nil
}
