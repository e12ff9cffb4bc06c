//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"crier/e2e/hostile/attack"
	"crier/e2e/hostile/stage"
)

// A trial has all families against servers of one kind.
type trial struct {
	start    func(ctx context.Context, secure bool) (*stage.Server, error)
	official bool // only the ways that the official server has
	long     bool
	lanes    int           // servers that are attacked at the same time, each by families of its own
	patience time.Duration // for whatever has to become of a push, and of the vital signs
	waits    time.Duration // for what has to become of an attack
	only     func(attack.Family) bool
	note     func(string)
}

// verdict is what became of a family.
type verdict struct {
	family  attack.Family
	cases   int
	slowest time.Duration // push to the bystanders, while somebody attacked or right after
	crashed int           // the process ended
	lost    int           // a bystander was disconnected, or a push did not reach him
	kept    int           // the vital signs did not come back
	wrong   []string      // what was wrong, each with its case
	lenient int           // cases where it let in what another refuses
}

// run attacks, family by family.
func (t *trial) run(ctx context.Context) ([]verdict, error) {
	families := attack.Families()
	verdicts := make([]verdict, len(families))
	next := make(chan int)
	var lanes sync.WaitGroup
	failures := make(chan error, t.lanes)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for range t.lanes {
		lanes.Go(func() {
			l := &lane{trial: t, stands: map[bool]*stand{}}
			err := l.work(ctx, families, verdicts, next)
			if err = errors.Join(err, l.end(ctx, err == nil)); err != nil {
				failures <- err
				cancel()
			}
		})
	}
	for n, f := range families {
		verdicts[n].family = f
		if t.only != nil && !t.only(f) {
			continue
		}
		select {
		case next <- n:
		case <-ctx.Done():
		}
	}
	close(next)
	lanes.Wait()
	close(failures)
	var err error
	for one := range failures {
		err = errors.Join(err, one)
	}
	return verdicts, err
}

// lane attacks servers, one at a time, and starts another one when one is gone.
type lane struct {
	trial  *trial
	stands map[bool]*stand // with TLS, and without
}

// stand is a server, who else is there, and its vital signs before all attacks.
type stand struct {
	server *stage.Server
	others *stage.Bystanders
	before stage.Vitals
}

func (l *lane) work(ctx context.Context, families []attack.Family, verdicts []verdict, next <-chan int) error {
	for n := range next {
		begin := time.Now()
		if err := l.family(ctx, families[n], &verdicts[n]); err != nil {
			return fmt.Errorf("%s: %w", families[n].Name, err)
		}
		v := &verdicts[n]
		l.trial.note(fmt.Sprintf("%-60s %4d cases, slowest push %3d ms, %.1f s %v", v.family.Name, v.cases, v.slowest.Milliseconds(), time.Since(begin).Seconds(), v.wrong))
	}
	return nil
}

// ready returns a server with bystanders, and sees to it that there is one.
func (l *lane) ready(ctx context.Context, secure bool) (*stand, error) {
	if s := l.stands[secure]; s != nil {
		return s, nil
	}
	server, err := l.trial.start(ctx, secure)
	if err != nil {
		return nil, err
	}
	s := &stand{server: server}
	l.stands[secure] = s
	if s.others, err = server.Watch(ctx); err != nil {
		return nil, err
	}
	if _, err = s.others.Push(ctx, l.trial.patience); err != nil {
		return nil, err
	}
	s.before, err = server.Vitals(ctx)
	return s, err
}

// end stops the servers. Unless something was wrong, nothing may be left of anybody.
func (l *lane) end(ctx context.Context, sound bool) error {
	var err error
	for secure, s := range l.stands {
		if sound {
			err = errors.Join(err, s.server.Recovered(ctx, s.before, true, l.trial.patience+stage.Lingering))
		}
		err = errors.Join(err, l.stop(secure))
	}
	return err
}

// stop has the next attack meet a fresh server.
func (l *lane) stop(secure bool) error {
	s := l.stands[secure]
	delete(l.stands, secure)
	var err error
	if s.others != nil {
		err = s.others.Close()
	}
	if gone, _ := s.server.Gone(); !gone {
		err = errors.Join(err, s.server.Stop())
	}
	return err
}

// family attacks with one family, on all its ways.
func (l *lane) family(ctx context.Context, f attack.Family, v *verdict) error {
	for _, w := range f.Where {
		if l.trial.official && !w.Official {
			continue
		}
		for _, in := range f.Inputs {
			s, err := l.ready(ctx, w.TLS)
			if err != nil {
				return err
			}
			v.cases++
			if err := l.input(ctx, s, w, in, v); err != nil {
				return err
			}
		}
		s := l.stands[w.TLS]
		if s == nil {
			continue
		}
		if err := s.server.Recovered(ctx, s.before, false, l.trial.patience); err != nil {
			v.kept++
			v.wrong = append(v.wrong, fmt.Sprintf("%s: %v", w.Name, err))
			if err := l.stop(w.TLS); err != nil {
				return err
			}
		}
	}
	return nil
}

// input performs one case.
func (l *lane) input(ctx context.Context, s *stand, w attack.Way, in attack.Input, v *verdict) error {
	limited, cancel := context.WithTimeout(ctx, 2*l.trial.patience)
	defer cancel()
	a := &attack.Attacker{Public: s.server.Public, Port: s.server.Push, Long: l.trial.long, Patience: l.trial.waits}
	a.Begin(limited)
	done := make(chan error, 1)
	go func() { done <- errors.Join(in.Run(a, w), a.Close()) }()
	wrong, slowest, lost := l.meanwhile(limited, s, done)
	v.slowest = max(v.slowest, slowest)
	name := fmt.Sprintf("%s, %s", w.Name, in.Name)
	gone, last := s.server.Gone()
	switch {
	case gone:
		v.crashed++
		v.wrong = append(v.wrong, fmt.Sprintf("%s: the server ended:\n%s", name, last))
	case lost != nil:
		v.lost++
		v.wrong = append(v.wrong, fmt.Sprintf("%s: %v", name, lost))
	case wrong != nil:
		v.lenient++
		v.wrong = append(v.wrong, fmt.Sprintf("%s: %v", name, wrong))
	}
	if gone || lost != nil {
		return l.stop(w.TLS)
	}
	return ctx.Err()
}

// meanwhile pushes to the bystanders until the attack is over, and once more.
func (l *lane) meanwhile(ctx context.Context, s *stand, done <-chan error) (wrong error, slowest time.Duration, lost error) {
	for {
		var over bool
		select {
		case wrong = <-done:
			over = true
		case <-time.After(20 * time.Millisecond):
		}
		if lost == nil {
			var took time.Duration
			if took, lost = s.others.Push(ctx, l.trial.patience); took > slowest {
				slowest = took
			}
		}
		if over {
			return wrong, slowest, lost
		}
	}
}
