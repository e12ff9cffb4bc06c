package client

import (
	"context"
	"time"
)

// Receipt is what became of a message that was pushed with Store, TTL, Ack or Receipt.
type Receipt struct {
	ID   string    `json:"id"`
	Time time.Time `json:"time"` // of the push
	// Matched counts who was online, and Delivered the connections that took the message.
	Matched   Matched `json:"matched"`
	Delivered int     `json:"delivered"`
	// Acked is who has acknowledged it; nil without Push.Ack.
	Acked *Matched `json:"acked,omitempty"`
	// Stored is for how many users it was stored, until Expires. Of these it is Waiting for so many, a client of so many has
	// Confirmed it, and for so many it has Expired before, or was Evicted to make room for newer ones.
	Stored    int       `json:"stored"`
	Waiting   int       `json:"waiting"`
	Confirmed int       `json:"confirmed"`
	Expired   int       `json:"expired"`
	Evicted   int       `json:"evicted"`
	Expires   time.Time `json:"expires,omitzero"`
}

// AddresseeList is a page of the users a message was stored for, by uid. Next is the cursor of the next page, and empty on
// the last; it stays good.
type AddresseeList struct {
	Users []Addressee `json:"users"`
	Next  string      `json:"next,omitempty"`
}

// Addressee is one of them. State is waiting, confirmed, expired or evicted.
type Addressee struct {
	UID   string `json:"uid"`
	State string `json:"state"`
}

// Receipt returns what became of a message, by its id.
func (c *Client) Receipt(ctx context.Context, id string) (Receipt, error) {
	var r Receipt
	err := c.read(ctx, &r, nil, "v1", "messages", id)
	return r, err
}

// Addressees returns a page of the users that a message was stored for, and what became of it for each.
func (c *Client) Addressees(ctx context.Context, id string, p Page) (AddresseeList, error) {
	query := p.query()
	query.Set("users", "true")
	var list AddresseeList
	err := c.read(ctx, &list, query, "v1", "messages", id)
	return list, err
}
