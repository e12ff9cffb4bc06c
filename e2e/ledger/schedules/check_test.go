package schedules

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"crier/e2e/ledger/stage"
)

// dawn is when the scenes begin, a full minute; all times in them are milliseconds after it.
const dawn stage.Stamp = 1_800_000_000_000

// A scene is a run of 30 s in which one schedule was ordered at 1000, and what the checker has to say to it. A receiver is
// there from 500 on, and whenever the server is.
type scene struct {
	name   string
	server []stage.Line // besides a start at 0
	plan   plan
	first  stage.Stamp // 0: what it has to be
	gone   stage.Stamp // a removal was asked for then, and was done 10 later
	open   bool
	came   []string // "RUN ARRIVAL", or "RUN ARRIVAL TAB" for another tab than a
	want   []string // kinds of violations
	counts verdict
}

func killed(at, start stage.Stamp) []stage.Line { return ended(stage.ServerKill, at, start) }

func stopped(at, start stage.Stamp) []stage.Line { return ended(stage.ServerTerm, at, start) }

func ended(how string, at, start stage.Stamp) []stage.Line {
	return []stage.Line{{At: at, On: how}, {At: at + 5, On: stage.ServerExit}, {At: start, On: stage.ServerStart}, {At: start + 100, On: stage.ServerListen}}
}

var scenes = []scene{
	{name: "at", plan: plan{At: 3000}, came: []string{"3000 3004"}, counts: verdict{schedules: 1, runs: 1}},
	{name: "at, in the past", plan: plan{At: 900}, came: []string{"900 1004"}, counts: verdict{schedules: 1, runs: 1}},
	{name: "at, too early", plan: plan{At: 3000}, came: []string{"3000 2990"}, want: []string{"early"}, counts: verdict{schedules: 1, runs: 1}},
	{name: "at, never", plan: plan{At: 3000}, want: []string{"missing"}, counts: verdict{schedules: 1}},
	{name: "at, too late to be owed", plan: plan{At: 29_000}, counts: verdict{schedules: 1}},
	{name: "not certain to be made", plan: plan{At: 3000}, open: true, counts: verdict{open: 1}},
	{name: "delay", plan: plan{Delay: 2000}, came: []string{"3000 3004"}, counts: verdict{schedules: 1, runs: 1}},
	{name: "delay, another run", plan: plan{Delay: 2000}, came: []string{"3000 3004", "4000 4004"}, want: []string{"false run"}, counts: verdict{schedules: 1, runs: 2}},
	{name: "another plan", plan: plan{Delay: 2000}, first: 4000, came: []string{"3000 3004"}, want: []string{"wrong plan"}, counts: verdict{schedules: 1, runs: 1}},
	{name: "twice", plan: plan{At: 3000}, came: []string{"3000 3004", "3000 3009"}, want: []string{"twice"}, counts: verdict{schedules: 1, runs: 1}},
	{name: "in two tabs", plan: plan{At: 3000}, came: []string{"3000 3004", "3000 3009 b"}, counts: verdict{schedules: 1, runs: 1}},
	{
		name: "twice, killed in the act", server: killed(3100, 3200), plan: plan{At: 3000}, came: []string{"3000 3004", "3000 13_500"},
		counts: verdict{schedules: 1, runs: 1, repeats: 1},
	},
	{
		name: "twice, stopped", server: stopped(3100, 3200), plan: plan{At: 3000}, came: []string{"3000 3004", "3000 13_500"},
		want: []string{"twice"}, counts: verdict{schedules: 1, runs: 1},
	},
	{
		name: "twice, killed much later", server: killed(6000, 6100), plan: plan{At: 3000}, came: []string{"3000 3004", "3000 16_500"},
		want: []string{"twice"}, counts: verdict{schedules: 1, runs: 1},
	},
	{
		name: "twice in different tabs, killed much later", server: killed(6000, 6100), plan: plan{At: 3000}, came: []string{"3000 3004", "3000 16_500 b"},
		want: []string{"twice"}, counts: verdict{schedules: 1, runs: 1},
	},
	{
		name: "kept and confirmed late", server: killed(6000, 6100), plan: plan{At: 3000, Stored: true}, came: []string{"3000 3004", "3000 6500"},
		counts: verdict{schedules: 1, runs: 1, again: 1},
	},
	{name: "made up for", server: killed(2900, 4000), plan: plan{At: 3000}, came: []string{"3000 14_200"}, counts: verdict{schedules: 1, runs: 1}},
	{name: "not made up for", server: killed(2900, 4000), plan: plan{At: 3000}, want: []string{"missing"}, counts: verdict{schedules: 1}},
	{name: "not made up for, but kept", server: killed(2900, 4000), plan: plan{At: 3000, Stored: true}, want: []string{"missing"}, counts: verdict{schedules: 1}},
	{name: "skipped", server: killed(2900, 4000), plan: plan{At: 3000, Skip: true}, counts: verdict{schedules: 1, skipped: 1}},
	{name: "skipped, killed right then", server: killed(3200, 4000), plan: plan{At: 3000, Skip: true}, counts: verdict{schedules: 1, skipped: 1}},
	{name: "skipped, due while it starts", server: killed(2900, 3950), plan: plan{At: 4000, Skip: true, Stored: true}, counts: verdict{schedules: 1, skipped: 1}},
	{name: "not to be skipped", plan: plan{At: 3000, Skip: true}, want: []string{"missing"}, counts: verdict{schedules: 1}},
	{
		name: "to be skipped", server: killed(2900, 4000), plan: plan{At: 3000, Skip: true}, came: []string{"3000 14_200"},
		want: []string{"late"}, counts: verdict{schedules: 1, runs: 1},
	},
	{
		name: "unseen", server: killed(2000, 3000), plan: plan{At: 3200}, counts: verdict{schedules: 1, unseen: 1}, // the receiver is not back yet
	},
	{
		name: "every, three times", plan: plan{Every: 2000, Runs: 3}, came: []string{"3000 3004", "5000 5003", "7000 7001"},
		counts: verdict{schedules: 1, runs: 3},
	},
	{
		name: "every, two of three", plan: plan{Every: 2000, Runs: 3}, came: []string{"3000 3004", "5000 5003"},
		want: []string{"missing"}, counts: verdict{schedules: 1, runs: 2},
	},
	{
		name: "every, one in the middle", plan: plan{Every: 2000, Runs: 3}, came: []string{"3000 3004", "7000 7003", "9000 9001"},
		want: []string{"missing"}, counts: verdict{schedules: 1, runs: 3},
	},
	{
		name: "every, one in the middle, and removed", plan: plan{Every: 2000, Stored: true}, gone: 7100, came: []string{"3000 3004", "7000 7003"},
		want: []string{"missing"}, counts: verdict{schedules: 1, runs: 2},
	},
	{
		name: "every, four of three", plan: plan{Every: 2000, Runs: 3}, came: []string{"3000 3004", "5000 5003", "7000 7001", "9000 9001"},
		want: []string{"too many"}, counts: verdict{schedules: 1, runs: 4},
	},
	{
		name: "every, not on time", plan: plan{Every: 2000, Runs: 2}, came: []string{"3000 3004", "4000 4003", "5000 5003"},
		want: []string{"false run"}, counts: verdict{schedules: 1, runs: 3},
	},
	{
		name: "every, until", plan: plan{Every: 2000, Until: 6000}, came: []string{"3000 3004", "5000 5003"},
		counts: verdict{schedules: 1, runs: 2},
	},
	{
		name: "every, beyond the end", plan: plan{Every: 2000, Until: 6000}, came: []string{"3000 3004", "5000 5003", "7000 7001"},
		want: []string{"false run"}, counts: verdict{schedules: 1, runs: 3},
	},
	{
		name: "every, missed three and made up once", server: killed(4000, 8000), plan: plan{Every: 2000, Until: 22_000},
		came: []string{"3000 3004", "5000 18_200", "19000 19_003", "21000 21_003"}, counts: verdict{schedules: 1, runs: 4},
	},
	{
		name: "every, missed three and not made up", server: killed(4200, 8000), plan: plan{Every: 2000, Until: 22_000},
		came: []string{"3000 3004", "19000 19_003", "21000 21_003"}, want: []string{"missing"}, counts: verdict{schedules: 1, runs: 3},
	},
	{
		name: "every, stored, killed in the act, and made up for under the same id", server: killed(3100, 4000), plan: plan{Every: 2000, Until: 16_000, Stored: true},
		came: []string{"3000 3004"}, counts: verdict{schedules: 1, runs: 1},
	},
	{
		name: "every, stored, killed much later, and not made up for", server: killed(4900, 5000), plan: plan{Every: 2000, Until: 16_000, Stored: true},
		came: []string{"3000 3004"}, want: []string{"missing"}, counts: verdict{schedules: 1, runs: 1},
	},
	{
		name: "every, killed in the act, and another run with nobody there", server: killed(3100, 4900), plan: plan{Every: 2000, Runs: 2},
		came: []string{"3000 3004"}, counts: verdict{schedules: 1, runs: 1}, // that of 5000 may have been pushed at once
	},
	{
		name: "every, late in a stop, and the next", plan: plan{Every: 2000, Until: 8000}, came: []string{"3000 5100", "7000 7003"},
		counts: verdict{schedules: 1, runs: 2},
	},
	{
		name: "every, removed", plan: plan{Every: 2000}, gone: 6000, came: []string{"3000 3004", "5000 5003"}, counts: verdict{schedules: 1, runs: 2},
	},
	{
		name: "every, removed and pushed", plan: plan{Every: 2000}, gone: 6000, came: []string{"3000 3004", "5000 5003", "7000 7003"},
		want: []string{"removed"}, counts: verdict{schedules: 1, runs: 3},
	},
	{
		name: "cron", plan: plan{Cron: 5, Runs: 2}, came: []string{"5000 5004", "10000 10_003"}, counts: verdict{schedules: 1, runs: 2},
	},
	{
		name: "cron, not on time", plan: plan{Cron: 5, Runs: 1}, came: []string{"6000 6004"}, want: []string{"false run", "missing"}, counts: verdict{schedules: 1, runs: 1},
	},
}

func TestJudge(t *testing.T) {
	for _, s := range scenes {
		t.Run(s.name, func(t *testing.T) {
			got := judge(s.evidence(t))
			var kinds []string
			for _, one := range got.violations {
				kinds = append(kinds, one.Kind)
			}
			slices.Sort(kinds)
			if !slices.Equal(kinds, s.want) {
				t.Errorf("the violations are %q, want %q: %v", kinds, s.want, got.violations)
			}
			got.violations = nil
			if fmt.Sprint(*got) != fmt.Sprint(s.counts) {
				t.Errorf("counted %+v, want %+v", *got, s.counts)
			}
		})
	}
}

// evidence makes of a scene what would be gathered from its books.
func (s scene) evidence(t *testing.T) *evidence {
	t.Helper()
	const end = 30_000
	e := &evidence{Record: &stage.Record{Timeline: stage.NewTimeline(), End: dawn + end}, orders: map[string]*order{}}
	lines := append([]stage.Line{{At: 0, On: stage.ServerStart}, {At: 10, On: stage.ServerListen}}, s.server...)
	for at := stage.Stamp(0); at < end; at += stage.Span(stage.ProbeEvery) {
		for len(lines) > 0 && lines[0].At <= at {
			lines[0].At += dawn
			e.Timeline.Add(lines[0])
			lines = lines[1:]
		}
		e.Timeline.Add(stage.Line{At: dawn + at, On: stage.ServerTick})
	}
	stays := &stage.Stays{}
	for _, l := range e.Timeline.All() { // logged in 400 after each start, and proven until the end
		to := min(l.End, dawn+end) - 1
		stays.All = append(stays.All, stage.Stay{From: l.Start + 400, To: to, Proven: true, Out: to})
	}
	e.watches = []*stage.Stays{stays}

	o := &order{id: "o", plan: s.plan, made: dawn + 1000, removes: stage.Never, removed: stage.Never, runs: map[stage.Stamp]*run{}}
	for _, at := range []*stage.Stamp{&o.plan.At, &o.plan.Until} {
		if *at > 0 {
			*at += dawn
		}
	}
	if o.first = o.plan.first(o.made); s.first > 0 {
		o.first = dawn + s.first
	}
	if s.open {
		o.made = 0
	}
	if s.gone > 0 {
		o.removes, o.removed = dawn+s.gone, dawn+s.gone+10
	}
	e.orders["o"] = o
	for _, text := range s.came {
		var due, at stage.Stamp
		tab := "a"
		if n, err := fmt.Sscan(text, &due, &at, &tab); n < 2 {
			t.Fatalf("reading %q: %v", text, err)
		}
		since := at + dawn
		for _, one := range stays.All {
			if one.From <= at+dawn && at+dawn <= one.To {
				since = one.From
			}
		}
		if due += dawn; o.runs[due] == nil {
			o.runs[due] = &run{at: due}
		}
		o.runs[due].arrivals = append(o.runs[due].arrivals, arrival{tab, dawn + at, since})
	}
	return e
}

// TestArrival finds whose run a message is.
func TestArrival(t *testing.T) {
	e := &evidence{orders: map[string]*order{"m.1": {id: "m.1", runs: map[stage.Stamp]*run{}}}}
	stays := &stage.Stays{}
	stays.Add(stage.TabLine{On: stage.TabIn, At: dawn})
	for _, l := range []stage.TabLine{
		{At: dawn + 7, Tab: "a", ID: "m.1@" + time.UnixMilli(int64(dawn+5)).UTC().Format(time.RFC3339Nano), Data: "m.1"},
		{At: dawn + 8, Tab: "a", ID: "m.1@noon", Data: "m.1"},
		{At: dawn + 9, Tab: "a", ID: "m.2@2027-01-15T08:00:00Z", Data: "m.2"},
		{At: dawn + 9, Tab: "a", ID: "m.1@2027-01-15T08:00:00Z", Data: "m.3"},
		{At: dawn + 9, Tab: "a", ID: "", Data: "m.1"},
	} {
		e.arrival(l, stays)
	}
	r := e.orders["m.1"].runs[dawn+5]
	if r == nil || len(e.orders["m.1"].runs) != 1 || !slices.Equal(r.arrivals, []arrival{{"a", dawn + 7, dawn}}) {
		t.Errorf("the runs are %v", e.orders["m.1"].runs)
	}
	if len(e.strays) != 4 {
		t.Errorf("strays: %v", e.strays)
	}
}

// TestPlans makes plans that the server has to accept.
func TestPlans(t *testing.T) {
	for _, one := range []struct {
		plan plan
		json string
	}{
		{plan{At: dawn, Skip: true}, `"at":"2027-01-15T08:00:00Z","late":"skip"`},
		{plan{Delay: 1500}, `"delay":"1.5s"`},
		{plan{Every: 1500, Runs: 2, Stored: true}, `"every":"1.5s","max_runs":2`},
		{plan{Cron: 5, Zone: "Asia/Kolkata", Until: dawn}, `"cron":"*/5 * * * * *","timezone":"Asia/Kolkata","until":"2027-01-15T08:00:00Z"`},
	} {
		text, err := one.plan.schedule("m.1").MarshalJSON()
		want := fmt.Sprintf(`{"push":{"to":{"users":["witness"]},"data":"m.1","store":%v},%s}`, one.plan.Stored, one.json)
		if err != nil || strings.TrimSpace(string(text)) != want {
			t.Errorf("%s, %v, want %s", text, err, want)
		}
	}
}
