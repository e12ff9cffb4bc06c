package client_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"crier/api"
	"crier/api/client"
	"crier/api/schedule"
	"crier/io/hub"
)

// startSchedules serves a push port with timed pushes until the test ends.
func startSchedules(t *testing.T) *client.Client {
	t.Helper()
	h, err := hub.New(hub.Options{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := schedule.New(schedule.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	s, err := api.New(api.Options{Pusher: h, Schedules: b})
	if err != nil {
		t.Fatal(err)
	}
	b.Start(s.PushScheduled)
	server := httptest.NewServer(s)
	t.Cleanup(func() {
		s.Close()
		server.Close()
		if err := errors.Join(b.Close(context.Background()), h.Close(context.Background())); err != nil {
			t.Error(err)
		}
	})
	return newClient(t, client.Options{URL: server.URL})
}

func TestSchedules(t *testing.T) {
	c, ctx := startSchedules(t), within(t)
	push := client.Push{To: client.Audience{Users: []string{"a"}}, Data: "<hi>"}
	later := time.Now().Add(time.Hour).Truncate(time.Second)
	for _, one := range []struct {
		name     string
		schedule client.Schedule
		runs     int
	}{
		{"at", client.Schedule{At: later}, 1},
		{"delay", client.Schedule{Delay: time.Hour, SkipLate: true}, 1},
		{"every", client.Schedule{Every: time.Hour, MaxRuns: 2}, 2},
		{"cron", client.Schedule{Cron: "0 8 * * *", Timezone: "Europe/Berlin", Until: later.Add(1000 * time.Hour)}, 5},
	} {
		t.Run(one.name, func(t *testing.T) {
			one.schedule.Push = push
			s, err := c.PutSchedule(ctx, "x/"+one.name, one.schedule)
			if err != nil || s.ID != "x/"+one.name || len(s.NextRuns) != one.runs || string(s.Push) == "" {
				t.Fatalf("%+v, %v", s, err)
			}
			if one.name == "at" && !s.NextRuns[0].Equal(later) {
				t.Errorf("the next run is %v", s.NextRuns[0])
			}
		})
	}
	made, err := c.AddSchedule(ctx, client.Schedule{Push: push, Every: time.Minute})
	if err != nil || made.Every != "1m0s" {
		t.Fatalf("%+v, %v", made, err)
	}
	if list, err := c.Schedules(ctx, client.Page{Limit: 4}); err != nil || len(list.Schedules) != 4 || list.Next == "" {
		t.Errorf("%+v, %v", list, err)
	}
	if s, err := c.PauseSchedule(ctx, made.ID); err != nil || !s.Paused {
		t.Errorf("%+v, %v", s, err)
	}
	if s, err := c.ResumeSchedule(ctx, made.ID); err != nil || s.Paused {
		t.Errorf("%+v, %v", s, err)
	}
	if s, err := c.RemoveSchedule(ctx, made.ID); err != nil || s.ID != made.ID {
		t.Errorf("%+v, %v", s, err)
	}
	var p *client.Problem
	if _, err := c.Schedule(ctx, made.ID); !errors.As(err, &p) || p.Code != "schedule_not_found" || p.Status != http.StatusNotFound {
		t.Errorf("got %v", err)
	}
	if _, err := c.AddSchedule(ctx, client.Schedule{Push: push, Delay: -1}); !errors.As(err, &p) || p.Code != "invalid_field" {
		t.Errorf("got %v", err)
	}
}
