package schedule

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// testNow is when the schedules of these tests are made.
var testNow = time.Date(2026, 3, 28, 12, 0, 0, 0, time.UTC)

func TestFirstRuns(t *testing.T) {
	for _, c := range []struct {
		name string
		spec Spec
		want []string
	}{
		{"at", Spec{At: "2026-03-28T13:00:00+01:00"}, []string{"2026-03-28T12:00:00Z", ""}},
		{"at of a zone", Spec{At: "2026-03-29T02:30:00", Timezone: "Europe/Berlin"}, []string{"2026-03-29T03:30:00+02:00", ""}},
		{"at with a blank", Spec{At: "2026-03-29 06:00:00"}, []string{"2026-03-29T06:00:00Z", ""}},
		{"a moment ago", Spec{At: "2026-03-28T11:59:30Z"}, []string{"2026-03-28T11:59:30Z", ""}},
		{"delay", Spec{Delay: "90s", Late: "skip"}, []string{"2026-03-28T12:01:30Z", ""}},
		{"no delay", Spec{Delay: "0s", Late: "fire"}, []string{"2026-03-28T12:00:00Z", ""}},
		{"every", Spec{Every: "12h"}, []string{"2026-03-29T00:00:00Z", "2026-03-29T12:00:00Z"}},
		{"every, until", Spec{Every: "1s", Until: "2026-03-28T12:00:02Z"}, []string{"2026-03-28T12:00:01Z", "2026-03-28T12:00:02Z", ""}},
		{"cron", Spec{Cron: "0 8 * * *", Timezone: "Europe/Berlin"}, []string{"2026-03-29T08:00:00+02:00", "2026-03-30T08:00:00+02:00"}},
		{"cron, until of its zone", Spec{Cron: "0 8 * * *", Timezone: "Europe/Berlin", Until: "2026-03-29T08:00:00"}, []string{"2026-03-29T08:00:00+02:00", ""}},
		{"98 years", Spec{At: "2124-01-01T00:00:00Z"}, []string{"2124-01-01T00:00:00Z"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := c.spec.plan(testNow, zones{})
			if err != nil {
				t.Fatal(err)
			}
			run, err := p.first(testNow)
			if err != nil {
				t.Fatal(err)
			}
			for i, want := range c.want {
				if i > 0 {
					run = p.next(run)
				}
				got := ""
				if !run.IsZero() {
					got = run.In(p.zone).Format(time.RFC3339)
				}
				if got != want {
					t.Fatalf("run %d: %q, want %q", i, got, want)
				}
			}
		})
	}
}

// What was missed is no reason to fall behind.
func TestEveryStaysInStep(t *testing.T) {
	spec := Spec{Every: "10s"}
	p, err := spec.plan(testNow, zones{})
	if err != nil {
		t.Fatal(err)
	}
	for after, want := range map[time.Duration]time.Duration{
		-time.Hour: 10 * time.Second, 0: 10 * time.Second, 9*time.Second + 999*time.Millisecond: 10 * time.Second, 10 * time.Second: 20 * time.Second,
		time.Hour + time.Second: time.Hour + 10*time.Second,
	} {
		if got := p.next(testNow.Add(after)).Sub(testNow); got != want {
			t.Errorf("after %s: %s, want %s", after, got, want)
		}
	}
}

func TestSpecErrors(t *testing.T) {
	for _, c := range []struct {
		name, field string
		spec        Spec
	}{
		{"nothing", "at, delay, every and cron", Spec{}},
		{"two", "at, delay, every and cron", Spec{Delay: "1s", Every: "1s"}},
		{"no time", "at", Spec{At: "tomorrow"}},
		{"a day that is not", "at", Spec{At: "2026-02-30T00:00:00Z"}},
		{"long ago", "at", Spec{At: "2026-03-28T11:58:59Z"}},
		{"year 9999", "at", Spec{At: "9999-12-31T23:59:59Z"}},
		{"year 10000", "at", Spec{At: "10000-01-01T00:00:00Z"}},
		{"negative delay", "delay", Spec{Delay: "-1s"}},
		{"endless delay", "delay", Spec{Delay: "2000000h"}},
		{"delay that overflows", "delay", Spec{Delay: "99999999h"}},
		{"number", "delay", Spec{Delay: "5"}},
		{"too often", "every", Spec{Every: "999ms"}},
		{"cron of four", "cron", Spec{Cron: "* * * *"}},
		{"never", "cron", Spec{Cron: "0 0 31 2 *"}},
		{"zone", "timezone", Spec{Cron: "* * * * *", Timezone: "Europe/Atlantis"}},
		{"own zone", "timezone", Spec{Cron: "* * * * *", Timezone: "Local"}},
		{"path as zone", "timezone", Spec{Cron: "* * * * *", Timezone: "../../etc/passwd"}},
		{"until before", "until", Spec{Every: "1h", Until: "2026-03-28T12:59:59Z"}},
		{"until of one", "until", Spec{Delay: "1h", Until: "2026-03-28T12:59:59Z"}},
		{"no until", "until", Spec{Every: "1h", Until: "never"}},
		{"runs of one", "max_runs", Spec{Delay: "1h", MaxRuns: 1}},
		{"negative runs", "max_runs", Spec{Every: "1h", MaxRuns: -1}},
		{"late", "late", Spec{Delay: "1h", Late: "never"}},
		{"late of many", "late", Spec{Every: "1h", Late: "skip"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := c.spec.plan(testNow, zones{})
			if err == nil {
				_, err = p.first(testNow)
			}
			var field *FieldError
			if !errors.As(err, &field) || field.Field != c.field || field.Want == "" {
				t.Errorf("got %v", err)
			}
		})
	}
}

// FuzzMoment: a time that is taken is the one that the clocks of the zone, or of the offset in it, show: the first of two, and late by what is skipped if
// they never do.
func FuzzMoment(f *testing.F) {
	for _, text := range []string{
		"2030-12-24T18:00:00Z", "2030-12-24T18:00:00.5+14:00", "2030-12-24t18:00:00z", "2026-03-29T02:30:00", "2026-10-25 02:30:00", "2026-10-25T02:59:59.999999999", "2011-12-30T12:00:00",
		"2027-04-04T01:45:00", "2030-02-29T00:00:00", "2032-02-29 23:59:60", "9999-12-31T23:59:59", "2099-03-29 02:00:00", "2030-1-1T0:0:0", "2030-12-24", "2030-12-24T18:00:00-24:00", "2030-12-24T18:00:00,5",
	} {
		for zone := range uint8(7) {
			f.Add(text, zone)
		}
	}
	var zones []*time.Location
	for _, name := range []string{"UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Africa/Casablanca", "Antarctica/Troll"} {
		zone, err := time.LoadLocation(name)
		if err != nil {
			f.Fatal(err)
		}
		zones = append(zones, zone)
	}
	const clock = "2006-01-02T15:04:05.999999999"
	f.Fuzz(func(t *testing.T, text string, n uint8) {
		zone := zones[int(n)%len(zones)]
		got, err := moment("at", text, zone)
		if err != nil || got.Year() < 2000 { // what has passed cannot be waited for
			return
		}
		for _, form := range []string{got.Format(time.RFC3339Nano), got.UTC().Format(time.RFC3339Nano)} {
			if again, err := moment("at", form, zone); got.Year() < 9999 && (err != nil || !again.Equal(got)) {
				t.Errorf("%q is %v, and that %v, %v", text, got, again, err)
			}
		}
		shown, err := time.Parse(clock, strings.Replace(text, " ", "T", 1))
		if err != nil {
			return // it has an offset
		}
		var want time.Time
		for at := shown.Add(-30 * time.Hour); want.IsZero() && at.Before(shown.Add(30*time.Hour)); at = at.Add(15 * time.Minute) {
			_, offset := at.In(zone).Zone()
			if one := shown.Add(-time.Duration(offset) * time.Second); one.In(zone).Format(clock) == shown.Format(clock) {
				want = one
			}
		}
		if want.IsZero() {
			_, offset := shown.Add(-30 * time.Hour).In(zone).Zone()
			want = shown.Add(-time.Duration(offset) * time.Second)
		}
		if !got.Equal(want) {
			t.Errorf("%q in %v is %v, want %v", text, zone, got, want.In(zone))
		}
	})
}
