package wsconn

import (
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"
)

// alarm is a Timed that notes when it was called.
type alarm struct {
	timer  Timer
	onTick func(now time.Time) time.Time

	mu    sync.Mutex
	ticks []time.Duration // since start
	start time.Time
}

func newAlarm() *alarm { return &alarm{start: time.Now()} }

func (a *alarm) Tick(now time.Time) time.Time {
	a.mu.Lock()
	a.ticks = append(a.ticks, now.Sub(a.start))
	a.mu.Unlock()
	if a.onTick != nil {
		return a.onTick(now)
	}
	return time.Time{}
}

func (a *alarm) all() []time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.ticks
}

// once checks that a fired once, between d and a resolution later.
func (a *alarm) once(t *testing.T, d, resolution time.Duration) {
	t.Helper()
	if got := a.all(); len(got) != 1 || got[0] < d || got[0] > d+resolution {
		t.Errorf("ticks at %v, want one at %v", got, d)
	}
}

func TestTimerSize(t *testing.T) {
	if n := unsafe.Sizeof(Timer{}); n > 40 {
		t.Errorf("a Timer has %d bytes", n)
	}
}

func TestWheelFiresOnTime(t *testing.T) {
	const res = 25 * time.Millisecond
	for _, d := range []time.Duration{
		-time.Hour, 0, 1, res - 1, res, res + 1, 64*res - 1, 64 * res, 64*res + 1, // one turn is 64 slots
		1000 * res, 25 * time.Second, time.Hour,
	} {
		t.Run(d.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := NewWheel(res, 64)
				defer w.Close()
				a := newAlarm()
				w.Set(&a.timer, a, time.Now().Add(d))
				time.Sleep(max(d, 0) + 2*res)
				a.once(t, max(d, 0), res)
				time.Sleep(5 * time.Minute)
				a.once(t, max(d, 0), res)
			})
		})
	}
}

func TestWheelRepeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := NewWheel(0, 0)
		defer w.Close()
		a := newAlarm()
		a.onTick = func(now time.Time) time.Time {
			if len(a.all()) == 4 {
				return time.Time{}
			}
			return now.Add(25 * time.Second)
		}
		w.Set(&a.timer, a, time.Now().Add(25*time.Second))
		time.Sleep(10 * time.Minute)
		got := a.all()
		if len(got) != 4 {
			t.Fatalf("ticks at %v", got)
		}
		for i, at := range got {
			want := time.Duration(i+1) * 25 * time.Second
			if at < want || at > want+100*time.Millisecond {
				t.Errorf("tick %d at %v, want %v", i, at, want)
			}
		}
	})
}

func TestWheelSetAndStop(t *testing.T) {
	const res = 10 * time.Millisecond
	synctest.Test(t, func(t *testing.T) {
		w := NewWheel(res, 64)
		defer w.Close()
		later, earlier, stopped, again := newAlarm(), newAlarm(), newAlarm(), newAlarm()
		in := func(d time.Duration) time.Time { return time.Now().Add(d) }
		w.Set(&later.timer, later, in(time.Second))
		w.Set(&later.timer, later, in(2*time.Second))
		w.Set(&earlier.timer, earlier, in(time.Minute))
		w.Set(&earlier.timer, earlier, in(100*time.Millisecond))
		w.Set(&stopped.timer, stopped, in(time.Second))
		w.Stop(&stopped.timer)
		w.Stop(&stopped.timer)
		w.Set(&again.timer, again, in(time.Second))
		w.Stop(&again.timer)
		w.Set(&again.timer, again, in(3*time.Second))
		time.Sleep(2 * time.Minute)
		later.once(t, 2*time.Second, res)
		earlier.once(t, 100*time.Millisecond, res)
		again.once(t, 3*time.Second, res)
		if got := stopped.all(); len(got) != 0 {
			t.Errorf("a stopped timer fired at %v", got)
		}
		if stopped.timer != (Timer{}) || later.timer != (Timer{}) {
			t.Error("a timer out of use refers to something")
		}
	})
}

// What Set or Stop say while Tick runs counts, and not what Tick returns.
func TestWheelSetAndStopDuringTick(t *testing.T) {
	const res = 10 * time.Millisecond
	synctest.Test(t, func(t *testing.T) {
		w := NewWheel(res, 64)
		defer w.Close()
		set, stop, other := newAlarm(), newAlarm(), newAlarm()
		set.onTick = func(now time.Time) time.Time {
			if len(set.all()) > 1 {
				return time.Time{}
			}
			w.Set(&set.timer, set, now.Add(5*time.Second))
			w.Stop(&other.timer) // due at the same time, not called yet
			return now.Add(time.Second)
		}
		stop.onTick = func(now time.Time) time.Time {
			w.Stop(&stop.timer)
			return now.Add(time.Second)
		}
		at := time.Now().Add(time.Second)
		w.Set(&set.timer, set, at)
		w.Set(&stop.timer, stop, at)
		w.Set(&other.timer, other, at)
		time.Sleep(time.Minute)
		if got := set.all(); len(got) != 2 || got[1] < 6*time.Second {
			t.Errorf("set: ticks at %v", got)
		}
		stop.once(t, time.Second, res)
		if got := other.all(); len(got) != 0 {
			t.Errorf("stopped by another's Tick, but fired at %v", got)
		}
	})
}

// A slow Tick delays others, but none is lost, even after several turns.
func TestWheelCatchesUp(t *testing.T) {
	const res = 10 * time.Millisecond
	synctest.Test(t, func(t *testing.T) {
		w := NewWheel(res, 64)
		defer w.Close()
		slow := newAlarm()
		slow.onTick = func(time.Time) time.Time {
			time.Sleep(5 * time.Second)
			return time.Time{}
		}
		w.Set(&slow.timer, slow, time.Now())
		alarms := make([]*alarm, 100)
		for i := range alarms {
			alarms[i] = newAlarm()
			w.Set(&alarms[i].timer, alarms[i], time.Now().Add(time.Duration(i+3)*20*time.Millisecond))
		}
		time.Sleep(10 * time.Second)
		for i, a := range alarms {
			if got := a.all(); len(got) != 1 || got[0] > 5*time.Second+2*res {
				t.Errorf("alarm %d: ticks at %v", i, got)
			}
		}
	})
}

// An idle wheel sleeps: it costs nothing to let a year pass.
func TestWheelSleepsWhenIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := NewWheel(time.Millisecond, 64)
		defer w.Close()
		a := newAlarm()
		w.Set(&a.timer, a, time.Now().Add(time.Second))
		time.Sleep(365 * 24 * time.Hour)
		a.once(t, time.Second, time.Millisecond)
		b := newAlarm()
		w.Set(&b.timer, b, time.Now().Add(time.Second))
		time.Sleep(2 * time.Second)
		b.once(t, time.Second, time.Millisecond)
	})
}

func TestWheelClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := NewWheel(0, 0)
		a, b := newAlarm(), newAlarm()
		w.Set(&a.timer, a, time.Now().Add(time.Second))
		w.Close()
		w.Close()
		w.Set(&b.timer, b, time.Now())
		w.Stop(&a.timer)
		time.Sleep(time.Minute)
		if len(a.all())+len(b.all()) != 0 {
			t.Error("fired after Close")
		}
		if b.timer != (Timer{}) {
			t.Error("Set after Close keeps the owner")
		}
	})
}

func TestWheelFarAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := NewWheel(0, 0)
		defer w.Close()
		a := newAlarm()
		w.Set(&a.timer, a, time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC))
		time.Sleep(time.Hour)
		if got := a.all(); len(got) != 0 {
			t.Errorf("ticks at %v", got)
		}
	})
}

// Random use against a plain model.
func TestWheelAgainstModel(t *testing.T) {
	const res = 10 * time.Millisecond
	synctest.Test(t, func(t *testing.T) {
		w := NewWheel(res, 64)
		defer w.Close()
		start := time.Now()
		rnd := rand.New(rand.NewPCG(1, 2))
		alarms := make([]*alarm, 50)
		due := make([]time.Duration, len(alarms)) // 0: not set
		want := make([][]time.Duration, len(alarms))
		for i := range alarms {
			alarms[i] = newAlarm()
		}
		for range 2000 {
			time.Sleep(time.Duration(rnd.IntN(20)) * time.Millisecond)
			now := time.Since(start)
			i := rnd.IntN(len(alarms))
			for j := range due {
				// Within a resolution of being due, either is right: keep away.
				if j == i && due[j] != 0 && due[j] > now-2*res && due[j] < now+2*res {
					i = -1
				}
				if due[j] != 0 && due[j] <= now-2*res {
					want[j] = append(want[j], due[j])
					due[j] = 0
				}
			}
			switch {
			case i < 0:
			case rnd.IntN(4) == 0:
				w.Stop(&alarms[i].timer)
				due[i] = 0
			default:
				due[i] = now + 3*res + time.Duration(rnd.IntN(2000))*time.Millisecond
				w.Set(&alarms[i].timer, alarms[i], start.Add(due[i]))
			}
		}
		time.Sleep(time.Minute)
		for i, a := range alarms {
			if due[i] != 0 {
				want[i] = append(want[i], due[i])
			}
			got := a.all()
			if len(got) != len(want[i]) {
				t.Errorf("alarm %d: %d ticks, want %d", i, len(got), len(want[i]))
				continue
			}
			for k := range got {
				if got[k] < want[i][k] || got[k] > want[i][k]+res {
					t.Errorf("alarm %d: tick at %v, want %v", i, got[k], want[i][k])
				}
			}
		}
	})
}

// Set and Stop race with Tick; the race detector watches.
func TestWheelConcurrentUse(t *testing.T) {
	w := NewWheel(time.Millisecond, 64)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(g), 0))
			alarms := make([]*alarm, 20)
			for i := range alarms {
				alarms[i] = newAlarm()
				alarms[i].onTick = func(now time.Time) time.Time { return now.Add(time.Millisecond) }
			}
			for range 5000 {
				a := alarms[rnd.IntN(len(alarms))]
				if rnd.IntN(3) == 0 {
					w.Stop(&a.timer)
				} else {
					w.Set(&a.timer, a, time.Now().Add(time.Duration(rnd.IntN(3000))*time.Microsecond))
				}
			}
			for _, a := range alarms {
				w.Stop(&a.timer)
			}
		})
	}
	wg.Wait()
	w.Close()
	for i, used := range w.used {
		if used != 0 {
			t.Errorf("word %d: %b of empty slots", i, used)
		}
	}
}

func BenchmarkWheelSet(b *testing.B) {
	w := NewWheel(0, 0)
	defer w.Close()
	alarms := make([]*alarm, 10_000)
	for i := range alarms {
		alarms[i] = newAlarm()
	}
	at := time.Now().Add(time.Hour)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		a := alarms[i%len(alarms)]
		w.Set(&a.timer, a, at.Add(time.Duration(i)*time.Millisecond))
		i++
	}
}
