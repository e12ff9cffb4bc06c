package callbacks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"

	"crier/e2e/ledger/stage"
)

// receiverPatience is how long the server waits for the receiver.
const receiverPatience = time.Second

// A receiver is a business server that gets callbacks and takes note of them; now and then it fails.
type receiver struct {
	// Static.
	address string
	book    *stage.Book
	batches bool // requests may bring several callbacks
	fail    func(error)
	handler http.Handler
	done    chan struct{} // closed at the end: who hangs goes on
	busy    sync.WaitGroup

	mu     sync.Mutex
	random *rand.Rand
	server *http.Server // nil while it is down
	serves chan struct{}
	sick   bool                // it makes faults
	hangs  chan struct{}       // closed when it hangs no more; nil while it does not
	seen   map[string]bool     // ids that are noted
	last   map[string]callback // of each user, the latest one
}

// newReceiver makes a receiver for an address, which still has to go up. wrap stands between it and the server.
func newReceiver(address string, b *stage.Book, random *rand.Rand, fail func(error), wrap func(http.Handler) http.Handler) *receiver {
	r := &receiver{
		address: address, book: b, fail: fail, done: make(chan struct{}), random: random,
		seen: map[string]bool{}, last: map[string]callback{},
	}
	inner := wrap(r)
	r.handler = http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		r.busy.Add(1)
		defer r.busy.Done()
		inner.ServeHTTP(w, q)
	})
	return r
}

func (r *receiver) url() string { return "http://" + r.address + "/callback" }

// up has the receiver listen.
func (r *receiver) up() error {
	l, err := net.Listen("tcp", r.address)
	if err != nil {
		return fmt.Errorf("starting the receiver: %w", err)
	}
	server := &http.Server{Handler: r.handler, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)}
	serves := make(chan struct{})
	r.mu.Lock()
	r.server, r.serves = server, serves
	r.mu.Unlock()
	go func() {
		defer close(serves)
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			r.fail(fmt.Errorf("the receiver ended: %w", err))
		}
	}()
	return nil
}

// down cuts all connections and has the receiver listen no more.
func (r *receiver) down() error {
	r.mu.Lock()
	server, serves := r.server, r.serves
	r.server = nil
	r.mu.Unlock()
	if server == nil {
		return nil
	}
	err := server.Close()
	<-serves
	if err != nil {
		return fmt.Errorf("stopping the receiver: %w", err)
	}
	return nil
}

// close ends the receiver.
func (r *receiver) close() error {
	close(r.done)
	err := r.down()
	r.busy.Wait()
	return err
}

// infect has the receiver make faults; heal ends that.
func (r *receiver) infect() { r.setSick(true) }

func (r *receiver) heal() { r.setSick(false) }

func (r *receiver) setSick(sick bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sick = sick
}

// hang has the receiver answer nobody for a while.
func (r *receiver) hang(ctx context.Context, d time.Duration) error {
	r.mu.Lock()
	over := make(chan struct{})
	r.hangs = over
	r.mu.Unlock()
	err := stage.Sleep(ctx, d)
	r.mu.Lock()
	r.hangs = nil
	r.mu.Unlock()
	close(over)
	return err
}

// ServeHTTP takes a callback.
func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(q.Body)
	if err != nil { // the sender was killed, or has given up
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	f, over := r.diagnose()
	if over != nil {
		f = fault{name: "hung", before: true, act: wait}
	}
	line := callbackLine{Outcome: refused, Fault: f.name, ID: q.Header.Get("Webhook-Id"), Sent: q.Header.Get("Webhook-Timestamp")}
	if !f.before {
		line.Body = string(body)
		line.Outcome, line.Wrong = r.take(q, body)
	}
	line.At = stage.Now()
	if err := r.book.Note(line); err != nil {
		r.fail(err)
		return
	}
	if f.act == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	f.act(w, q, either(over, r.done))
}

// diagnose says what to do wrong with this request.
func (r *receiver) diagnose() (f fault, over chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.hangs != nil {
		return fault{}, r.hangs
	}
	if !r.sick || r.random.IntN(faultOneIn) > 0 {
		return fault{}, nil
	}
	return faults[r.random.IntN(len(faults))], nil
}

// take counts what the request brings, unless it has been counted before.
func (r *receiver) take(q *http.Request, body []byte) (outcome, wrong string) {
	id := q.Header.Get("Webhook-Id")
	all, err := readCallbacks(body)
	if err == nil && !r.batches && (len(all) != 1 || all[0].ID != id) {
		err = fmt.Errorf("the body is of %s", all[0].ID)
	}
	if err == nil {
		err = verify(q.Header, body)
	}
	if err != nil {
		return refused, err.Error()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen[id] {
		return repeated, ""
	}
	r.seen[id] = true
	for _, c := range all {
		r.last[c.Data.UID] = c
	}
	return noted, ""
}

// latest returns the last callback about a user, and how many requests there were about all of them.
func (r *receiver) latest(uid string) (c callback, all int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last[uid], len(r.seen)
}
