package client_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"crier/api/client"
)

func TestReceipt(t *testing.T) {
	p := startStoring(t)
	c := p.client(t, client.Options{})
	p.listen(t, "c", "here")
	yes := true
	pushed, err := c.Push(within(t), client.Push{ID: "x/1", To: client.Audience{Users: []string{"here", "away", "far"}}, Data: 1, TTL: time.Hour, Ack: time.Millisecond})
	if err != nil || !pushed.Stored || pushed.Matched.Users != 1 {
		t.Fatalf("%+v, %v", pushed, err)
	}
	got, err := c.Receipt(within(t), "x/1")
	if err != nil {
		t.Fatal(err)
	}
	if d := got.Expires.Sub(got.Time); (d - time.Hour).Abs() > time.Minute {
		t.Errorf("expires after %s", d)
	}
	got.Time, got.Expires = time.Time{}, time.Time{}
	acked := got.Acked
	if got.Acked = nil; acked == nil || *acked != (client.Matched{}) {
		t.Errorf("acked %+v", acked)
	}
	if want := (client.Receipt{ID: "x/1", Matched: client.Matched{Users: 1, Connections: 1}, Delivered: 1, Stored: 3, Waiting: 2, Confirmed: 1}); got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	var users []client.Addressee
	var page client.AddresseeList
	for more := true; more; more = page.Next != "" {
		if page, err = c.Addressees(within(t), "x/1", client.Page{Cursor: page.Next, Limit: 2}); err != nil {
			t.Fatal(err)
		}
		users = append(users, page.Users...)
	}
	if !slices.Equal(users, []client.Addressee{{"away", "waiting"}, {"far", "waiting"}, {"here", "confirmed"}}) {
		t.Errorf("users %v", users)
	}
	pushed, err = c.Push(within(t), client.Push{To: client.Audience{Rooms: []string{"r"}}, Event: "e", Store: &yes, Receipt: true})
	if err != nil || pushed.Stored {
		t.Errorf("to nobody: %+v, %v", pushed, err)
	}
	var problem *client.Problem
	if _, err := c.Receipt(within(t), "unknown"); !errors.As(err, &problem) || problem.Code != "message_not_found" || problem.Status != 404 {
		t.Errorf("%v", err)
	}
}
