package callbacks

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"crier/e2e/ledger/stage"
)

// dawn is when the scenes begin; all times in them are milliseconds after it.
const dawn stage.Stamp = 1_800_000_000_000

// testTerms make an absence due 2.5 s after it began: the delay, and 40 probes.
var testTerms = Terms{Terms: stage.Terms{Ping: 2 * time.Second}, Delay: 500 * time.Millisecond, Grace: 2 * time.Second}

// A scene is a run of 12 s with one user, and what the checker has to say to it.
type scene struct {
	name   string
	server []stage.Line // besides a start at 0
	visits []visit
	told   []string // "online 1000", "offline 2000", "again N" for the N-th once more
	lines  []callbackLine
	want   []string // kinds of violations
	counts verdict
}

// one returns a visit by WebSocket with a single connection that is certain from in to out.
func one(open, in, out, gone stage.Stamp) visit {
	return visit{open: open, bye: gone - 5, gone: gone, clean: true, logins: []stage.Stamp{in - 5}, stays: stage.Stays{All: []stage.Stay{{From: in, To: out, Proven: true, Out: gone - 5}}}}
}

// interrupted returns a visit with two connections.
func interrupted(open, in, out, backIn, backOut, gone stage.Stamp) visit {
	v := one(open, in, out, gone)
	v.stays.All[0].Out = out + 150
	v.logins = append(v.logins, backIn-5)
	v.stays.All = append(v.stays.All, stage.Stay{From: backIn, To: backOut, Proven: true, Out: gone - 5})
	return v
}

func killed(at, start stage.Stamp) []stage.Line {
	return []stage.Line{{At: at, On: stage.ServerKill}, {At: at + 5, On: stage.ServerExit}, {At: start, On: stage.ServerStart}, {At: start + 100, On: stage.ServerListen}}
}

func stopped(at, exit, start stage.Stamp) []stage.Line {
	return []stage.Line{{At: at, On: stage.ServerTerm}, {At: exit, On: stage.ServerExit}, {At: start, On: stage.ServerStart}, {At: start + 100, On: stage.ServerListen}}
}

var scenes = []scene{
	{
		name: "a visit", visits: []visit{one(1000, 1010, 3000, 3010)}, told: []string{"online 1005", "offline 3510"},
		counts: verdict{arrivals: 1, departures: 1, told: 2},
	},
	{
		name: "somebody who stays", visits: []visit{one(1000, 1010, 11_900, stage.Never-dawn)}, told: []string{"online 1005"},
		counts: verdict{arrivals: 1, told: 1},
	},
	{
		name: "no offline", visits: []visit{one(1000, 1010, 3000, 3010)}, told: []string{"online 1005"},
		want: []string{"missing departure"}, counts: verdict{arrivals: 1, departures: 1, told: 1},
	},
	{
		name: "a late offline", visits: []visit{one(1000, 1010, 3000, 3010)}, told: []string{"online 1005", "offline 7000"},
		want: []string{"missing departure"}, counts: verdict{arrivals: 1, departures: 1, told: 2},
	},
	{
		name: "nothing", visits: []visit{one(1000, 1010, 3000, 3010)},
		want: []string{"missing arrival"}, counts: verdict{arrivals: 1, departures: 1},
	},
	{
		name: "a pair that is missing", visits: []visit{one(1000, 1010, 3000, 3010), one(7000, 7010, 9000, 9010)},
		told: []string{"online 1005", "offline 9510"},
		want: []string{"missing departure"}, counts: verdict{arrivals: 2, departures: 2, told: 2},
	},
	{
		name: "an online that is missing", visits: []visit{one(1000, 1010, 3000, 3010), one(7000, 7010, 9000, 9010)},
		told: []string{"online 1005", "offline 3510", "offline 9510"},
		want: []string{"alternation", "missing arrival"}, counts: verdict{arrivals: 2, departures: 2, told: 3},
	},
	{
		name: "offline in the middle", visits: []visit{one(1000, 1010, 3000, 3010)}, told: []string{"online 1005", "offline 2000"},
		want: []string{"early departure", "false departure"}, counts: verdict{arrivals: 1, departures: 1, told: 2},
	},
	{
		name: "offline too early", visits: []visit{one(1000, 1010, 3000, 3010)}, told: []string{"online 1005", "offline 3400"},
		want: []string{"early departure"}, counts: verdict{arrivals: 1, departures: 1, told: 2},
	},
	{
		name: "a refresh", visits: []visit{one(1000, 1010, 3000, 3010), one(3050, 3060, 5000, 5010)},
		told: []string{"online 1005", "offline 5510"}, counts: verdict{arrivals: 1, departures: 1, told: 2, short: 1},
	},
	{
		name: "a refresh that is told", visits: []visit{one(1000, 1010, 3000, 3010), one(3050, 3060, 5000, 5010)},
		told: []string{"online 1005", "offline 3020", "online 3055", "offline 5510"},
		want: []string{"early departure"}, counts: verdict{arrivals: 1, departures: 1, told: 4, short: 1},
	},
	{
		name: "away for a moment, told", visits: []visit{one(1000, 1010, 3000, 3010), one(3700, 3710, 6000, 6010)},
		told: []string{"online 1005", "offline 3512", "online 3705", "offline 6510"}, counts: verdict{arrivals: 1, departures: 1, told: 4, open: 1},
	},
	{
		name: "away for a moment, not told", visits: []visit{one(1000, 1010, 3000, 3010), one(3700, 3710, 6000, 6010)},
		told: []string{"online 1005", "offline 6510"}, counts: verdict{arrivals: 1, departures: 1, told: 2, open: 1},
	},
	{
		name: "two tabs", visits: []visit{one(1000, 1010, 3000, 3010), one(2000, 2010, 6000, 6010)},
		told: []string{"online 1005", "offline 6510"}, counts: verdict{arrivals: 1, departures: 1, told: 2},
	},
	{
		name: "nobody there", visits: []visit{one(1000, 1010, 3000, 3010)}, told: []string{"online 1005", "offline 3510", "online 7000"},
		want: []string{"false arrival"}, counts: verdict{arrivals: 1, departures: 1, told: 3},
	},
	{
		name:   "a session of polling that only the heartbeat ends",
		visits: []visit{{open: 1000, bye: 3005, gone: 3010, polls: true, stays: stage.Stays{All: []stage.Stay{{From: 1010, To: 3000, Proven: true, Out: 3005}}}}}, told: []string{"online 1005", "offline 7400"},
		counts: verdict{arrivals: 1, departures: 1, told: 2},
	},
	{
		name: "a login that a kill may undo", server: killed(1500, 1600),
		visits: []visit{interrupted(1000, 1010, 1450, 1800, 5000, 5010)}, told: []string{"online 1795", "offline 5510"},
		counts: verdict{arrivals: 1, departures: 1, told: 2, cut: 1},
	},
	{
		name: "a login that a kill must not undo", server: killed(3500, 3600),
		visits: []visit{interrupted(1000, 1010, 3400, 3800, 6000, 6010)}, told: []string{"online 3795", "offline 6510"},
		want: []string{"missing arrival"}, counts: verdict{arrivals: 1, departures: 1, told: 2},
	},
	{
		name: "back after a kill", server: killed(3500, 3600),
		visits: []visit{interrupted(1000, 1010, 3400, 4500, 6000, 6010)}, told: []string{"online 1005", "offline 6510"},
		counts: verdict{arrivals: 1, departures: 1, told: 2},
	},
	{
		name: "back after a kill, and a false pair", server: killed(3500, 3600),
		visits: []visit{interrupted(1000, 1010, 3400, 4500, 6000, 6010)},
		told:   []string{"online 1005", "offline 4200", "online 4496", "offline 6510"},
		want:   []string{"early departure"}, counts: verdict{arrivals: 1, departures: 1, told: 4},
	},
	{
		name: "not back after a kill", server: killed(3500, 3600),
		visits: []visit{one(1000, 1010, 3400, 3520)}, told: []string{"online 1005", "offline 5700"},
		counts: verdict{arrivals: 1, departures: 1, told: 2},
	},
	{
		name: "back after a kill for a moment, before the browser is killed, too", server: killed(3500, 3600),
		visits: []visit{
			one(1000, 1010, 3400, 3520),
			{open: 3700, bye: 3900, gone: 3900, killed: true},
		},
		told: []string{"online 1005", "offline 4400"}, counts: verdict{arrivals: 1, departures: 1, told: 2, short: 1},
	},
	{
		name: "not back after a kill, and forgotten", server: killed(3500, 3600),
		visits: []visit{one(1000, 1010, 3400, 3520)}, told: []string{"online 1005"},
		want: []string{"missing departure"}, counts: verdict{arrivals: 1, departures: 1, told: 1},
	},
	{
		name: "back after a stop", server: stopped(3500, 4500, 4600),
		visits: []visit{interrupted(1000, 1010, 3400, 5500, 7000, 7010)}, told: []string{"online 1005", "offline 7510"},
		counts: verdict{arrivals: 1, departures: 1, told: 2},
	},
	{
		name: "called off by a stop", server: stopped(3500, 4500, 4600),
		visits: []visit{interrupted(1000, 1010, 3400, 5500, 7000, 7010)},
		told:   []string{"online 1005", "offline 4100", "online 5496", "offline 7510"},
		want:   []string{"false departure"}, counts: verdict{arrivals: 1, departures: 1, told: 4},
	},
	{
		name: "gone by itself while the server stops", server: stopped(3500, 4500, 4600),
		visits: []visit{one(1000, 1010, 3000, 3010)}, told: []string{"online 1005", "offline 3512"},
		counts: verdict{arrivals: 1, departures: 1, told: 2},
	},
	{
		name: "sent twice", visits: []visit{one(1000, 1010, 3000, 3010)}, told: []string{"online 1005", "again 0", "offline 3510"},
		counts: verdict{arrivals: 1, departures: 1, told: 2, repeats: 1},
	},
	{
		name: "sent again behind a newer one", visits: []visit{one(1000, 1010, 3000, 3010)}, told: []string{"online 1005", "offline 3510", "again 0"},
		want: []string{"order"}, counts: verdict{arrivals: 1, departures: 1, told: 2, repeats: 1},
	},
	{
		name: "sent again with another body", visits: []visit{one(1000, 1010, 3000, 3010)}, told: []string{"online 1005", "offline 3510"},
		lines: []callbackLine{{At: 4000, Outcome: repeated, ID: "msg_1", Sent: "3", Body: body("msg_1", "u", 9, "offline", 3510)}},
		want:  []string{"changed"}, counts: verdict{arrivals: 1, departures: 1, told: 2, repeats: 1},
	},
	{
		name: "a batch, sent twice", visits: []visit{one(1000, 1010, 3000, 3010)},
		lines: []callbackLine{
			{At: 4000, Outcome: noted, ID: "msg_b", Body: batch(body("msg_1", "u", 1, "online", 1005), body("msg_2", "u", 2, "offline", 3512))},
			{At: 5000, Outcome: repeated, ID: "msg_b", Body: batch(body("msg_1", "u", 1, "online", 1005), body("msg_2", "u", 2, "offline", 3512))},
		},
		counts: verdict{arrivals: 1, departures: 1, told: 2, repeats: 2},
	},
	{
		name: "in two batches", visits: []visit{one(1000, 1010, 3000, 3010)}, told: []string{"online 1005", "offline 3510"},
		lines: []callbackLine{{At: 4000, Outcome: noted, ID: "msg_b", Body: batch(body("msg_1", "u", 2, "offline", 3512))}},
		want:  []string{"twice"}, counts: verdict{arrivals: 1, departures: 1, told: 2},
	},
	{
		name: "a version that does not grow", visits: []visit{one(1000, 1010, 3000, 3010)}, told: []string{"online 1005"},
		lines: []callbackLine{{At: 4000, Outcome: noted, ID: "msg_9", Body: body("msg_9", "u", 1, "offline", 3510)}},
		want:  []string{"version"}, counts: verdict{arrivals: 1, departures: 1, told: 2},
	},
	{
		name: "a stranger", visits: []visit{one(1000, 1010, 3000, 3010)}, told: []string{"online 1005", "offline 3510"},
		lines: []callbackLine{{At: 4000, Outcome: noted, ID: "msg_9", Body: body("msg_9", "stranger", 3, "online", 3510)}},
		want:  []string{"false arrival"}, counts: verdict{arrivals: 1, departures: 1, told: 2},
	},
	{
		name: "a wrong signature", visits: []visit{one(1000, 1010, 3000, 3010)}, told: []string{"online 1005", "offline 3510"},
		lines: []callbackLine{{At: 4000, Outcome: refused, ID: "msg_9", Wrong: "the signature is wrong"}},
		want:  []string{"malformed"}, counts: verdict{arrivals: 1, departures: 1, told: 2},
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
	const end = 12_000
	e := &evidence{
		Record: &stage.Record{Timeline: stage.NewTimeline(), End: dawn + end}, terms: testTerms, visits: map[string][]*visit{},
	}
	e.timeline = &timeline{e.Timeline, testTerms}
	lines := append([]stage.Line{{At: 0, On: stage.ServerStart}, {At: 10, On: stage.ServerListen}}, s.server...)
	for at := stage.Stamp(0); at < end; at += stage.Span(stage.ProbeEvery) {
		for len(lines) > 0 && lines[0].At <= at {
			lines[0].At += dawn
			e.timeline.Add(lines[0])
			lines = lines[1:]
		}
		e.timeline.Add(stage.Line{At: dawn + at, On: stage.ServerTick})
	}
	for _, v := range s.visits {
		v.uid, v.open, v.bye, v.gone = "u", v.open+dawn, v.bye+dawn, v.gone+dawn
		v.stays.All, v.logins = slices.Clone(v.stays.All), slices.Clone(v.logins)
		for i := range v.stays.All {
			v.stays.All[i].From += dawn
			v.stays.All[i].To += dawn
			v.stays.All[i].Out += dawn
		}
		for i := range v.logins {
			v.logins[i] += dawn
		}
		e.visits["u"] = append(e.visits["u"], &v)
	}
	for i, text := range s.told {
		var what string
		var n stage.Stamp
		if _, err := fmt.Sscan(text, &what, &n); err != nil {
			t.Fatalf("reading %q: %v", text, err)
		}
		line := callbackLine{Outcome: noted, ID: fmt.Sprintf("msg_%d", i), Sent: fmt.Sprint(i)}
		if what == "again" {
			line = e.lines[n]
			line.Outcome, line.Sent = repeated, fmt.Sprint(i)
		} else {
			line.Body = body(line.ID, "u", i+1, what, n)
		}
		e.lines = append(e.lines, line)
	}
	e.lines = append(e.lines, s.lines...)
	return e
}

// body returns the body of a callback.
func body(id, uid string, version int, what string, at stage.Stamp) string {
	var c callback
	c.ID, c.Type, c.Time = id, "user."+what, time.UnixMilli(int64(dawn+at)).UTC()
	c.Data.UID, c.Data.Version = uid, uint64(version)
	if what == "online" {
		c.Data.Connections = 1
	} else {
		c.Data.Cause = "disconnect"
	}
	text, err := json.Marshal(c)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func batch(bodies ...string) string { return `{"events":[` + strings.Join(bodies, ",") + `]}` }

// TestVerify checks the example of the Standard Webhooks specification.
func TestVerify(t *testing.T) {
	header := http.Header{}
	header.Set("Webhook-Id", "msg_p5jXN8AQM9LWM0D4loKWxJek")
	header.Set("Webhook-Timestamp", "1614265330")
	header.Set("Webhook-Signature", "v1,AAAA v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
	if err := verify(header, []byte(`{"test": 2432232314}`)); err != nil {
		t.Error(err)
	}
	if err := verify(header, []byte(`{"test": 2432232315}`)); err == nil || !strings.Contains(err.Error(), "signature") {
		t.Errorf("a changed body: %v", err)
	}
}
