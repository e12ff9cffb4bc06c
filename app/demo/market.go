package demo

import (
	"context"
	"math"
	"math/rand/v2"
	"time"

	"crier/api/client"
)

// maxCourse is how many steps of the market are remembered.
const maxCourse = 60

// quote is the price of one symbol.
type quote struct {
	Symbol string  `json:"symbol"`
	Price  float64 `json:"price"`
	Open   float64 `json:"open"` // the first one of the day
}

// market makes prices up. It is guarded by business.mu.
type market struct {
	now    []quote
	course [][]quote // the latest steps
}

func newMarket() *market {
	m := &market{}
	for _, q := range []quote{{Symbol: "BELL", Price: 84.2}, {Symbol: "BRASS", Price: 12.75}, {Symbol: "CRIER", Price: 231.4}, {Symbol: "SQUARE", Price: 57.3}, {Symbol: "TOWN", Price: 140.05}} {
		q.Open = q.Price
		m.now = append(m.now, q)
	}
	return m
}

// step moves every price a little, and returns them.
func (m *market) step() []quote {
	next := make([]quote, len(m.now))
	for i, q := range m.now {
		q.Price = max(0.01, math.Round(q.Price*(1+rand.NormFloat64()*0.002)*100)/100)
		next[i] = q
	}
	m.now = next
	m.course = append(m.course, next)
	m.course = m.course[max(0, len(m.course)-maxCourse):]
	return next
}

// history is what a page that has just been opened shows.
func (b *business) history() [][]quote {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([][]quote{}, b.market.course...)
}

// trade moves the market and pushes its prices, until ctx ends. A push that fails is not repeated: the next one has newer prices.
func (b *business) trade(ctx context.Context, pace time.Duration) {
	ticker := time.NewTicker(pace)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		b.mu.Lock()
		quotes := b.market.step()
		b.mu.Unlock()
		push, cancel := context.WithTimeout(ctx, pushTimeout)
		err := b.push(push, client.Push{To: client.Audience{Rooms: []string{roomQuotes}}, Event: "quotes", Data: quotes, Volatile: true})
		cancel()
		if err != nil && ctx.Err() == nil {
			b.log.Warn("prices could not be pushed", "error", err)
		}
	}
}
