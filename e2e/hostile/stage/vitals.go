//go:build linux

package stage

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// Vitals are the vital signs of a server.
type Vitals struct {
	Files      int    // descriptors
	Goroutines int    // 0 in Node
	Heap       uint64 // bytes in use, after a collection
	Sessions   int    // clients, those included that do not poll any more; 0 in Node
}

// slack is what may be there more than before without anything having leaked: pools that have grown, goroutines that are kept.
var slack = Vitals{Files: 3, Goroutines: 80, Heap: 6 << 20}

func (v Vitals) String() string {
	return fmt.Sprintf("%d descriptors, %d goroutines, %d sessions, %.1f MiB", v.Files, v.Goroutines, v.Sessions, float64(v.Heap)/(1<<20))
}

// Like reports whether v is like before.
func (v Vitals) Like(before Vitals) bool {
	return v.Files <= before.Files+slack.Files && v.Goroutines <= before.Goroutines+slack.Goroutines && v.Heap <= before.Heap+slack.Heap
}

// Vitals takes them.
func (s *Server) Vitals(ctx context.Context) (Vitals, error) {
	var v Vitals
	var err error
	if s.Name == "Node" {
		v, err = s.nodeVitals(ctx)
	} else {
		v, err = s.crierVitals(ctx)
	}
	if err != nil {
		return v, fmt.Errorf("taking the vital signs of %s: %w", s.Name, err)
	}
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.cmd.Process.Pid))
	if err != nil {
		return v, fmt.Errorf("counting descriptors: %w", err)
	}
	v.Files = len(files)
	return v, nil
}

// get asks the push port for something and hands over its lines.
func (s *Server) get(ctx context.Context, path string, line func(string)) (err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.Push+path, nil)
	if err != nil {
		return err
	}
	resp, err := s.http.Do(r)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", path, resp.Status)
	}
	in := bufio.NewScanner(resp.Body)
	in.Buffer(nil, 16<<20)
	for in.Scan() {
		line(in.Text())
	}
	return in.Err()
}

func (s *Server) crierVitals(ctx context.Context) (v Vitals, err error) {
	for range 2 { // what pools hold goes with the second collection
		if err := s.get(ctx, "/debug/pprof/heap?gc=1&debug=1", func(string) {}); err != nil {
			return v, err
		}
	}
	err = s.get(ctx, "/metrics", func(line string) {
		name, value, _ := strings.Cut(line, " ")
		n, perr := strconv.ParseFloat(value, 64)
		if perr != nil {
			return
		}
		if strings.HasPrefix(name, "crier_sockets{") {
			v.Sessions += int(n)
		}
		switch name {
		case "go_goroutines":
			v.Goroutines = int(n)
		case "go_memstats_heap_alloc_bytes":
			v.Heap = uint64(n)
		}
	})
	return v, err
}

func (s *Server) nodeVitals(ctx context.Context) (v Vitals, err error) {
	var answer struct{ Heap uint64 }
	var jerr error
	err = s.get(ctx, "/vitals", func(line string) { jerr = json.Unmarshal([]byte(line), &answer) })
	v.Heap = answer.Heap
	return v, errors.Join(err, jerr)
}

// Recovered waits until the vital signs are like before; at last also until nothing is left of the sessions of attackers, which
// may have ended long ago.
func (s *Server) Recovered(ctx context.Context, before Vitals, last bool, patience time.Duration) error {
	end := time.Now().Add(patience)
	for {
		now, err := s.Vitals(ctx)
		switch {
		case err != nil:
			return err
		case now.Like(before) && (!last || now.Sessions <= before.Sessions):
			return nil
		case time.Now().After(end):
			return fmt.Errorf("after %s there are %s; before there were %s", patience, now, before)
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Metric returns one of Crier's figures, a whole number without labels.
func (s *Server) Metric(ctx context.Context, name string) (int, error) {
	value, err := -1, error(nil)
	gerr := s.get(ctx, "/metrics", func(line string) {
		if text, found := strings.CutPrefix(line, name+" "); found {
			var f float64
			f, err = strconv.ParseFloat(text, 64)
			value = int(f)
		}
	})
	if err = errors.Join(err, gerr); err == nil && value < 0 {
		err = errors.New("there is none")
	}
	if err != nil {
		return 0, fmt.Errorf("asking for %s: %w", name, err)
	}
	return value, nil
}

// Resident is how many bytes of memory the process has (VmRSS of proc(5)). What the system keeps for its sockets is not among them.
func (s *Server) Resident() (int, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("reading the memory of %s: %w", s.Name, err)
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	var kilobytes int
	if _, err := fmt.Sscan(rest, &kilobytes); err != nil {
		return 0, fmt.Errorf("reading the memory of %s: %w", s.Name, err)
	}
	return kilobytes << 10, nil
}
