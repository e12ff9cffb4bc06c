package stage

import (
	"context"
	"errors"
	"time"
)

// LeaseTime is after what time the others give up a server that they do not hear of, and LeaseLag what they take for that at most,
// if nothing else is wrong.
const (
	LeaseTime = 10 * time.Second
	LeaseLag  = 3 * time.Second
)

// ClusterBlows are faults of several servers and of their Redis. The slow ones last until a lease has ended.
func (r *Run) ClusterBlows() []Blow {
	return []Blow{
		{Name: "kill", Weight: 2, Strike: func(ctx context.Context) error { return r.strikeOne(ctx, r.killOne, 1500*time.Millisecond) }},
		{Name: "restart", Weight: 1, Strike: func(ctx context.Context) error { return r.strikeOne(ctx, r.stopOne, 500*time.Millisecond) }},
		{Name: "cut", Weight: 2, Strike: func(ctx context.Context) error { return r.cut(ctx, r.Some(3*time.Second)) }},
		{Name: "redis", Weight: 2, Strike: r.killRedis},
		{Name: "stop", Weight: 1, Strike: func(ctx context.Context) error { return r.pauseOne(ctx, r.Some(3*time.Second)) }},
		{Name: "redis stop", Weight: 1, Strike: r.pauseRedis},
		{Name: "roll", Weight: 1, Strike: r.roll},
		{Name: "death", Weight: 1, Strike: func(ctx context.Context) error { return r.strikeOne(ctx, r.killOne, r.beyond()) }},
		{Name: "fence", Weight: 1, Strike: func(ctx context.Context) error { return r.pauseOne(ctx, r.beyond()) }},
		{Name: "part", Weight: 1, Strike: func(ctx context.Context) error { return r.block(ctx, r.beyond()) }},
	}
}

// SlowBlows are the names of those that last long.
func SlowBlows() []string { return []string{"death", "fence", "part"} }

// beyond is a time in which a lease ends, or almost.
func (r *Run) beyond() time.Duration { return LeaseTime - 2*time.Second + r.Some(10*time.Second) }

func (r *Run) someServer() *Server { return r.Servers[r.random.IntN(len(r.Servers))] }

func (r *Run) killOne(s *Server) error { return s.Kill() }

func (r *Run) stopOne(s *Server) error { return s.Stop() }

// strikeOne ends one of the servers, and starts it again after at most that time.
func (r *Run) strikeOne(ctx context.Context, end func(*Server) error, most time.Duration) error {
	s := r.someServer()
	if err := end(s); err != nil {
		return err
	}
	if err := Sleep(ctx, most/2+r.Some(most/2)); err != nil {
		return err
	}
	return s.Start(ctx)
}

// pauseOne has one of the servers do nothing for a while.
func (r *Run) pauseOne(ctx context.Context, d time.Duration) error {
	return r.someServer().Pause(ctx, 100*time.Millisecond+d)
}

// roll restarts all servers, one after the other.
func (r *Run) roll(ctx context.Context) error {
	for _, s := range r.Servers {
		if err := s.Stop(); err != nil {
			return err
		}
		if err := s.Start(ctx); err != nil {
			return err
		}
	}
	return nil
}

// cut breaks off the connections of one server to Redis, for a while.
func (r *Run) cut(ctx context.Context, d time.Duration) error {
	s := r.someServer()
	return r.without(ctx, s, LinkCut, s.link.cut, d)
}

// block lets nothing pass between one server and Redis, for a while.
func (r *Run) block(ctx context.Context, d time.Duration) error {
	s := r.someServer()
	return r.without(ctx, s, LinkBlock, s.link.block, d)
}

func (r *Run) without(ctx context.Context, s *Server, how string, act func(), d time.Duration) error {
	if err := r.Diary.Note(Line{On: how, Node: s.name}); err != nil {
		return err
	}
	act()
	err := Sleep(ctx, d)
	s.link.mend()
	return errors.Join(err, r.Diary.Note(Line{On: LinkMend, Node: s.name}))
}

// killRedis kills Redis, and starts it again after a while.
func (r *Run) killRedis(ctx context.Context) error {
	if err := r.Diary.Note(Line{On: RedisKill}); err != nil {
		return err
	}
	if err := r.redis.kill(); err != nil {
		return err
	}
	if err := Sleep(ctx, r.Some(3*time.Second)); err != nil {
		return err
	}
	if err := r.redis.start(ctx); err != nil {
		return err
	}
	return r.Diary.Note(Line{On: RedisListen})
}

// pauseRedis has Redis do nothing for a while.
func (r *Run) pauseRedis(ctx context.Context) error {
	if err := r.Diary.Note(Line{On: RedisStop}); err != nil {
		return err
	}
	p := r.redis.process.cmd.Process
	if err := suspend(p); err != nil {
		return err
	}
	err := Sleep(ctx, 100*time.Millisecond+r.Some(5*time.Second))
	return errors.Join(err, resume(p), r.Diary.Note(Line{On: RedisListen}))
}
