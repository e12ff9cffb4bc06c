package bench

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Result is what a run has come to.
type Result struct {
	Mode    Mode   `json:"mode"`
	URL     string `json:"url"`
	Clients int    `json:"clients"` // that were connected
	// Complete is false for a run that was cut short: Cut says by what, and the figures are of the part that there is.
	Complete bool   `json:"complete"`
	Cut      string `json:"cut,omitempty"`

	Connect *Rate `json:"connect,omitempty"` // connections that logged in, before the rest
	// Work is what the mode is about: deliveries of broadcasts, pushes delivered (answered, by a server that is silent), events acknowledged, logins of clients
	// that come and go.
	Work *Rate `json:"work,omitempty"`
	// Last is how long broadcasts took until their last delivery, and Answer until a push was answered.
	Last   *Latency `json:"last,omitempty"`
	Answer *Latency `json:"answer,omitempty"`
	// Storms are the seconds until everybody was back.
	Storms []float64 `json:"storms,omitempty"`

	Sent        int      `json:"sent"` // messages, or events
	Lost        int      `json:"lost"`
	Duplicates  int      `json:"duplicates"`
	OutOfOrder  int      `json:"out_of_order"`
	Outstanding int      `json:"outstanding"`   // deliveries that had not come when the run was cut short
	Refused     int      `json:"refused"`       // pushes that the server says have reached nobody
	Dropped     int      `json:"dropped"`       // connections that the server has ended
	Failed      int      `json:"failed_logins"` // that were tried again
	Heartbeats  int      `json:"heartbeats"`
	Sleepers    int      `json:"sleepers,omitempty"` // that the server still kept in the end
	Errors      []string `json:"errors,omitempty"`   // up to three that clients met

	Memory *Memory `json:"memory,omitempty"`
}

// Rate is how much was done in how long.
type Rate struct {
	What      string   `json:"what"`
	Count     int      `json:"count"`
	Seconds   float64  `json:"seconds"`
	PerSecond float64  `json:"per_second"`
	Latency   *Latency `json:"latency,omitempty"`
	CPU       *CPU     `json:"cpu,omitempty"`
	// LoadCores is how many processors the load itself has kept busy: near 1 that is the limit, not the server.
	LoadCores float64 `json:"load_cores"`
}

// CPU is what the server's process has used meanwhile.
type CPU struct {
	User   float64 `json:"user"` // seconds
	System float64 `json:"system"`
	// Cores is how many processors it has kept busy, and PerSecond how much it has done in a second of a processor.
	Cores     float64 `json:"cores"`
	PerSecond float64 `json:"per_second,omitempty"`
	// PerMillion are seconds of a processor for a million.
	PerMillion float64 `json:"per_million,omitempty"`
}

// Memory is that of the server's process, in bytes that are resident.
type Memory struct {
	Before    int     `json:"before"`         // the first client
	Connected int     `json:"connected"`      // at once when the last had logged in
	After     int     `json:"after"`          // in the end
	Left      int     `json:"left,omitempty"` // after Options.Leave without clients
	PerClient float64 `json:"per_client"`
}

// Latency are times in milliseconds.
type Latency struct {
	Count int64   `json:"count"`
	P50   float64 `json:"p50"`
	P90   float64 `json:"p90"`
	P99   float64 `json:"p99"`
	P999  float64 `json:"p99.9"`
	Max   float64 `json:"max"`
}

// newLatency reads a histogram of microseconds; nil if it is empty.
func newLatency(h *hdrhistogram.Histogram) *Latency {
	if h.TotalCount() == 0 {
		return nil
	}
	at := func(p float64) float64 { return float64(h.ValueAtPercentile(p)) / 1e3 }
	return &Latency{h.TotalCount(), at(50), at(90), at(99), at(99.9), float64(h.Max()) / 1e3}
}

func (l *Latency) String() string {
	return fmt.Sprintf("p50 %s, p90 %s, p99 %s, p99.9 %s, max %s ms", ms(l.P50), ms(l.P90), ms(l.P99), ms(l.P999), ms(l.Max))
}

func ms(v float64) string {
	if v < 10 {
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

// Faultless reports whether every message came once and in order, and nobody lost a connection.
func (r *Result) Faultless() bool {
	return r.Lost+r.Duplicates+r.OutOfOrder+r.Refused+r.Dropped == 0
}

// Print writes the result for people.
func (r *Result) Print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(what, format string, args ...any) {
		fmt.Fprintf(t, "%s\t%s\n", what, fmt.Sprintf(format, args...))
	}
	if !r.Complete {
		line("CUT SHORT", "%s; these are the figures of the part that there is", r.Cut)
	}
	r.Connect.print(line)
	r.Work.print(line)
	if r.Last != nil {
		line("until the last client", "%v", r.Last)
	}
	if r.Answer != nil {
		line("until the answer", "%v", r.Answer)
	}
	for i, s := range r.Storms {
		line(fmt.Sprintf("storm %d", i+1), "all back in %.2f s", s)
	}
	if m := r.Memory; m != nil {
		line("memory", "%s before, %s connected, %s in the end: %.0f bytes a client", mib(m.Before), mib(m.Connected), mib(m.After), m.PerClient)
		if m.Left > 0 {
			line("", "%s after all have left: %.2f of before", mib(m.Left), float64(m.Left)/float64(m.Before))
		}
	}
	if r.Sleepers > 0 {
		line("sleepers", "%d still connected", r.Sleepers)
	}
	if r.Mode != Idle {
		line("heartbeats", "%d", r.Heartbeats)
	}
	r.printFaults(line)
	return t.Flush()
}

func (r *Result) printFaults(line func(string, string, ...any)) {
	if r.Sent > 0 {
		line("messages", "%d sent; %d lost, %d twice, %d out of order", r.Sent, r.Lost, r.Duplicates, r.OutOfOrder)
	}
	for _, n := range []struct {
		what string
		n    int
	}{{"outstanding", r.Outstanding}, {"refused", r.Refused}, {"dropped connections", r.Dropped}, {"failed logins", r.Failed}} {
		if n.n > 0 {
			line(n.what, "%d", n.n)
		}
	}
	for _, e := range r.Errors {
		line("error", "%s", e)
	}
}

func (r *Rate) print(line func(string, string, ...any)) {
	if r == nil {
		return
	}
	line(r.What, "%d in %.2f s: %.0f a second", r.Count, r.Seconds, r.PerSecond)
	if r.Latency != nil {
		line("", "%v", r.Latency)
	}
	if c := r.CPU; c != nil && r.Count > 0 && c.PerSecond > 0 {
		line("", "server: %.2f processors (user %.2f s, system %.2f s), %.0f for a second of one, %.2f s for a million", c.Cores, c.User, c.System, c.PerSecond, c.PerMillion)
	} else if c != nil {
		line("", "server: %.4f processors (user %.2f s, system %.2f s)", c.Cores, c.User, c.System)
	}
	line("", "load: %.2f processors", r.LoadCores)
}

func mib(bytes int) string { return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20)) }
