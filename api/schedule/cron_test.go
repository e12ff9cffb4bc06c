package schedule

import (
	"strings"
	"testing"
	"time"
)

// Runs around changes of the clocks: spring and autumn, north and south, at midnight, and by half an hour.
func TestCronAcrossClockChanges(t *testing.T) {
	for _, c := range []struct {
		name, cron, zone, after string
		want                    []string
	}{
		{
			"skipped hour, made late", "30 2 * * *", "Europe/Berlin", "2026-03-27T12:00:00+01:00",
			[]string{"2026-03-28T02:30:00+01:00", "2026-03-29T03:30:00+02:00", "2026-03-30T02:30:00+02:00"},
		},
		{
			"two runs in the skipped hour", "15,45 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00+01:00",
			[]string{"2026-03-29T03:15:00+02:00", "2026-03-29T03:45:00+02:00", "2026-03-30T02:15:00+02:00"},
		},
		{
			"skipped hour and the one behind it", "45 2,3 * * *", "Europe/Berlin", "2026-03-28T12:00:00+01:00",
			[]string{"2026-03-29T03:45:00+02:00", "2026-03-30T02:45:00+02:00"},
		},
		{
			"late among the others", "0,40 2,3 * * *", "America/New_York", "2026-03-08T00:00:00-05:00",
			[]string{"2026-03-08T03:00:00-04:00", "2026-03-08T03:40:00-04:00", "2026-03-09T02:00:00-04:00"},
		},
		{
			"skipped day of the week", "30 2 * * SUN", "America/New_York", "2026-03-02T00:00:00-05:00",
			[]string{"2026-03-08T03:30:00-04:00", "2026-03-15T02:30:00-04:00"},
		},
		{
			"hour twice, made once", "30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00+02:00",
			[]string{"2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"},
		},
		{"asked between the two", "30 2 * * *", "Europe/Berlin", "2026-10-25T02:45:00+02:00", []string{"2026-10-26T02:30:00+01:00"}},
		{"asked in the second", "45 2,3 * * *", "Europe/Berlin", "2026-10-25T02:10:00+01:00", []string{"2026-10-25T03:45:00+01:00"}},
		{"first second behind it", "0 3 * * *", "Europe/Berlin", "2026-10-25T02:59:59+01:00", []string{"2026-10-25T03:00:00+01:00"}},
		{
			"every half hour in both hours", "*/30 * * * *", "Europe/Berlin", "2026-10-25T01:45:00+02:00",
			[]string{"2026-10-25T02:00:00+02:00", "2026-10-25T02:30:00+02:00", "2026-10-25T02:00:00+01:00", "2026-10-25T02:30:00+01:00", "2026-10-25T03:00:00+01:00"},
		},
		{
			"every hour over the gap", "10 * * * *", "Europe/Berlin", "2026-03-29T00:30:00+01:00",
			[]string{"2026-03-29T01:10:00+01:00", "2026-03-29T03:10:00+02:00", "2026-03-29T04:10:00+02:00"},
		},
		{
			"both changes of a year", "30 2 * * *", "America/New_York", "2026-10-31T12:00:00-04:00",
			[]string{"2026-11-01T02:30:00-05:00", "2026-11-02T02:30:00-05:00"},
		},
		{
			"one o'clock twice", "30 1 * * *", "America/New_York", "2026-10-31T12:00:00-04:00",
			[]string{"2026-11-01T01:30:00-04:00", "2026-11-02T01:30:00-05:00"},
		},
		{
			"midnight skipped", "15 0 * * *", "Africa/Cairo", "2026-04-23T12:00:00+02:00",
			[]string{"2026-04-24T01:15:00+03:00", "2026-04-25T00:15:00+03:00"},
		},
		{
			"midnight skipped, on a day", "0 0 6 9 *", "America/Santiago", "2026-09-01T00:00:00-04:00",
			[]string{"2026-09-06T01:00:00-03:00", "2027-09-06T00:00:00-03:00"},
		},
		{
			"midnight twice", "30 23 * * *", "America/Santiago", "2026-04-03T23:45:00-03:00",
			[]string{"2026-04-04T23:30:00-03:00", "2026-04-05T23:30:00-04:00"},
		},
		{
			"half an hour skipped", "15 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00:00+10:30",
			[]string{"2026-10-04T02:45:00+11:00", "2026-10-05T02:15:00+11:00"},
		},
		{
			"half an hour twice", "45 1 * * *", "Australia/Lord_Howe", "2026-04-04T12:00:00+11:00",
			[]string{"2026-04-05T01:45:00+11:00", "2026-04-06T01:45:00+10:30"},
		},
		{
			"no changes", "0 9 * * MON-FRI", "Asia/Shanghai", "2026-01-02T10:00:00+08:00",
			[]string{"2026-01-05T09:00:00+08:00", "2026-01-06T09:00:00+08:00"},
		},
		{
			"seconds", "*/20 59 23 31 12 *", "UTC", "2026-12-31T23:59:30Z",
			[]string{"2026-12-31T23:59:40Z", "2027-12-31T23:59:00Z"},
		},
		{"within a second", "* * * * * *", "UTC", "2026-01-01T00:00:00.999Z", []string{"2026-01-01T00:00:01Z", "2026-01-01T00:00:02Z"}},
		{"leap day", "0 12 29 2 *", "Europe/Berlin", "2096-03-01T00:00:00+01:00", []string{"2104-02-29T12:00:00+01:00"}},
		{
			"day of the month or of the week", "0 0 13 * FRI", "UTC", "2026-11-10T00:00:00Z",
			[]string{"2026-11-13T00:00:00Z", "2026-11-20T00:00:00Z", "2026-11-27T00:00:00Z", "2026-12-04T00:00:00Z", "2026-12-11T00:00:00Z", "2026-12-13T00:00:00Z"},
		},
		{"descriptor", "@monthly", "Europe/Berlin", "2026-03-02T00:00:00+01:00", []string{"2026-04-01T00:00:00+02:00"}},
		{"never", "0 0 30 2 *", "Europe/Berlin", "2026-03-02T00:00:00+01:00", []string{""}},
	} {
		t.Run(c.name, func(t *testing.T) {
			zone, err := time.LoadLocation(c.zone)
			if err != nil {
				t.Fatal(err)
			}
			clock, err := newClockwork(c.cron, zone)
			if err != nil {
				t.Fatal(err)
			}
			at, err := time.Parse(time.RFC3339, c.after)
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range c.want {
				got := ""
				if at = clock.next(at); !at.IsZero() {
					got = at.In(zone).Format(time.RFC3339)
				}
				if got != want {
					t.Fatalf("got %q, want %q", got, want)
				}
			}
		})
	}
}

// Every zone with a change of clocks in a year gets a daily run once a day, and one each hour once an hour.
func TestCronOncePerDayAndHour(t *testing.T) {
	for _, name := range []string{"Europe/Berlin", "America/New_York", "America/Santiago", "Africa/Cairo", "Australia/Lord_Howe", "Asia/Beirut", "Pacific/Auckland", "Asia/Kolkata"} {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		start := time.Date(2026, 1, 1, 0, 0, 0, 0, zone).Add(-time.Second)
		end := time.Date(2027, 1, 1, 0, 0, 0, 0, zone)
		for _, text := range []string{"30 2 * * *", "15 0 * * *", "45 1 * * *", "59 23 * * *"} {
			clock, err := newClockwork(text, zone)
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for at := clock.next(start); at.Before(end); at = clock.next(at) {
				n++
			}
			if n != 365 {
				t.Errorf("%s, %s: %d runs in a year", name, text, n)
			}
		}
		clock, err := newClockwork("0,30 * * * *", zone)
		if err != nil {
			t.Fatal(err)
		}
		before := clock.next(start)
		for at := clock.next(before); at.Before(end); before, at = at, clock.next(at) {
			if at.Sub(before) != 30*time.Minute {
				t.Errorf("%s: %v behind %v", name, at, before)
			}
		}
	}
}

func TestCronErrors(t *testing.T) {
	for _, text := range []string{
		"", "* * * *", "* * * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8", "a b c d e", "@every 1s", "@never",
		"TZ=Asia/Tokyo * * * * *", "CRON_TZ=UTC * * * * *", "-1 * * * *", "*/0 * * * *", strings.Repeat("*", 2000),
	} {
		if clock, err := newClockwork(text, time.UTC); err == nil {
			t.Errorf("%q gives %+v", text, clock)
		}
	}
}

func TestInstant(t *testing.T) {
	for _, c := range []struct{ shown, zone, want string }{
		{"2026-03-29T02:30:00Z", "Europe/Berlin", "2026-03-29T03:30:00+02:00"}, // skipped
		{"2026-10-25T02:30:00Z", "Europe/Berlin", "2026-10-25T02:30:00+02:00"}, // twice
		{"2026-03-29T01:59:59Z", "Europe/Berlin", "2026-03-29T01:59:59+01:00"},
		{"2026-03-29T03:00:00Z", "Europe/Berlin", "2026-03-29T03:00:00+02:00"},
		{"2026-10-25T03:00:00Z", "Europe/Berlin", "2026-10-25T03:00:00+01:00"},
		{"2026-11-01T01:30:00Z", "America/New_York", "2026-11-01T01:30:00-04:00"},
		{"2026-03-08T02:30:00Z", "America/New_York", "2026-03-08T03:30:00-04:00"},
		{"2026-10-04T02:10:00Z", "Australia/Lord_Howe", "2026-10-04T02:40:00+11:00"},
		{"2026-04-05T01:40:00Z", "Australia/Lord_Howe", "2026-04-05T01:40:00+11:00"},
		{"2026-06-01T12:00:00Z", "UTC", "2026-06-01T12:00:00Z"},
	} {
		zone, err := time.LoadLocation(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		shown, err := time.Parse(time.RFC3339, c.shown)
		if err != nil {
			t.Fatal(err)
		}
		if got := instant(shown, zone).In(zone).Format(time.RFC3339); got != c.want {
			t.Errorf("%s in %s: %s, want %s", c.shown, c.zone, got, c.want)
		}
	}
}

// FuzzCron: what can be read can be followed: each run is at a whole second behind the one before, and not beyond what is searched.
func FuzzCron(f *testing.F) {
	for _, text := range []string{
		"", "* * * * *", "30 2 * * *", "*/7 1-5/2,23 L * MON-FRI", "0 0 31 2 *", "0 0 29 2 *", "*/0 * * * *", "5-1 * * * *", "* * * * * *", "* * * * * * *", "@daily", "@reboot", "@every 1s",
		"TZ=UTC * * * * *", "0 0 1 1 ?", "0 0 * * 7", "0 0 15W * *", "0 0 * * 5#3", "H H * * *", "-1 * * * *", "99999999999999999999 * * * *", "1,,2 * * * *", "0 0 31 4 0",
	} {
		f.Add(text)
	}
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := newClockwork(text, zone)
		if err != nil {
			return
		}
		at := time.Date(2026, 3, 28, 12, 0, 0, 1, zone)
		for range 5 {
			next := c.next(at)
			if next.IsZero() {
				return
			}
			if !next.After(at) || next.Nanosecond() != 0 || next.After(at.AddDate(searchYears+1, 0, 0)) {
				t.Fatalf("%q: %s is followed by %s", text, at, next)
			}
			at = next
		}
	})
}
