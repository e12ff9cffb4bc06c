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
	start    func(ctx context.Context) (*stage.Server, error)
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
			l := &lane{trial: t}
			err := l.work(ctx, families, verdicts, next)
			if err == nil && l.server != nil {
				err = l.server.Recovered(ctx, l.before, true, t.patience)
			}
			if err = errors.Join(err, l.end()); err != nil {
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

// lane attacks one server at a time, and starts another one when that is gone.
type lane struct {
	trial  *trial
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

// ready sees to it that there is a server, with bystanders.
func (l *lane) ready(ctx context.Context) (err error) {
	if l.server != nil {
		return nil
	}
	if l.server, err = l.trial.start(ctx); err != nil {
		return err
	}
	if l.others, err = l.server.Watch(ctx); err != nil {
		return err
	}
	if _, err = l.others.Push(ctx, l.trial.patience); err != nil {
		return err
	}
	l.before, err = l.server.Vitals(ctx)
	return err
}

// end stops the server.
func (l *lane) end() error {
	if l.server == nil {
		return nil
	}
	var err error
	if l.others != nil {
		err = l.others.Close()
	}
	if gone, _ := l.server.Gone(); !gone {
		err = errors.Join(err, l.server.Stop())
	}
	l.server, l.others = nil, nil
	return err
}

// family attacks with one family, on all its ways.
func (l *lane) family(ctx context.Context, f attack.Family, v *verdict) error {
	for _, w := range f.Where {
		if l.trial.official && !w.Official {
			continue
		}
		for _, in := range f.Inputs {
			if err := l.ready(ctx); err != nil {
				return err
			}
			v.cases++
			if err := l.input(ctx, w, in, v); err != nil {
				return err
			}
		}
		if l.server == nil {
			continue
		}
		if err := l.server.Recovered(ctx, l.before, false, l.trial.patience); err != nil {
			v.kept++
			v.wrong = append(v.wrong, fmt.Sprintf("%s: %v", w.Name, err))
			if err := l.restart(); err != nil {
				return err
			}
		}
	}
	return nil
}

// restart has the next attack meet a fresh server. What the old one says at its end is not of interest.
func (l *lane) restart() error {
	if gone, _ := l.server.Gone(); gone {
		err := l.others.Close()
		l.server, l.others = nil, nil
		return err
	}
	return l.end()
}

// input performs one case.
func (l *lane) input(ctx context.Context, w attack.Way, in attack.Input, v *verdict) error {
	limited, cancel := context.WithTimeout(ctx, 2*l.trial.patience)
	defer cancel()
	a := &attack.Attacker{Public: l.server.Public, Port: l.server.Push, Long: l.trial.long, Patience: l.trial.waits}
	a.Begin(limited)
	done := make(chan error, 1)
	go func() { done <- errors.Join(in.Run(a, w), a.Close()) }()
	wrong, slowest, lost := l.meanwhile(limited, done)
	v.slowest = max(v.slowest, slowest)
	name := fmt.Sprintf("%s, %s", w.Name, in.Name)
	gone, last := l.server.Gone()
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
		return l.restart()
	}
	return ctx.Err()
}

// meanwhile pushes to the bystanders until the attack is over, and once more.
func (l *lane) meanwhile(ctx context.Context, done <-chan error) (wrong error, slowest time.Duration, lost error) {
	for {
		var over bool
		select {
		case wrong = <-done:
			over = true
		case <-time.After(20 * time.Millisecond):
		}
		if lost == nil {
			var took time.Duration
			if took, lost = l.others.Push(ctx, l.trial.patience); took > slowest {
				slowest = took
			}
		}
		if over {
			return wrong, slowest, lost
		}
	}
}
