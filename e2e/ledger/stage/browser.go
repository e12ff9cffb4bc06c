package stage

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// A browser is a process with the tabs of many users: tabs.mjs in Node.
type browser struct {
	name string
	cmd  *exec.Cmd
	read chan struct{} // closed when everything it has printed is read

	mu     sync.Mutex
	in     io.WriteCloser
	tabs   map[string]*Tab
	ending bool  // it is being killed or closed
	gone   Stamp // its process is gone; 0 while it is not
}

// Browsers are all of them. One that is killed is replaced.
type Browsers struct {
	// Static.
	node   string
	script string
	dir    string // for their books
	url    string // of the server
	diary  *Diary
	fail   func(error)
	hear   func(TabLine) // gets all lines; nil if nobody wants them

	mu    sync.Mutex
	all   []*browser
	count int // ever started
}

// start starts n browsers.
func (s *Browsers) start(n int) error {
	s.all = make([]*browser, n)
	for i := range s.all {
		if err := s.replace(i); err != nil {
			return err
		}
	}
	return nil
}

// replace starts a browser for place i.
func (s *Browsers) replace(i int) error {
	s.count++
	b := &browser{name: fmt.Sprintf("browser-%d", s.count), read: make(chan struct{}), tabs: map[string]*Tab{}}
	if err := s.launch(b); err != nil {
		return fmt.Errorf("starting a browser: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all[i] = b
	return s.diary.Note(Line{On: BrowserStart, Browser: b.name})
}

func (s *Browsers) launch(b *browser) error {
	b.cmd = exec.Command(s.node, s.script, filepath.Join(s.dir, b.name+".jsonl"))
	log, err := os.Create(filepath.Join(s.dir, b.name+".log"))
	if err != nil {
		return err
	}
	b.cmd.Stderr = log
	out, err := b.cmd.StdoutPipe()
	if err == nil {
		b.in, err = b.cmd.StdinPipe()
	}
	if err == nil {
		err = b.cmd.Start()
	}
	if closeErr := log.Close(); err != nil || closeErr != nil { // the process has its own
		return errors.Join(err, closeErr)
	}
	go func() {
		defer close(b.read)
		if err := b.follow(out, s.hear); err != nil {
			s.fail(err)
		}
	}()
	return nil
}

// follow takes what the browser prints.
func (b *browser) follow(out io.Reader, hear func(TabLine)) error {
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		var line TabLine
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			continue // the browser was killed while it wrote
		}
		if hear != nil {
			hear(line)
		}
		b.mu.Lock()
		t := b.tabs[line.Tab]
		b.mu.Unlock()
		if t == nil {
			return fmt.Errorf("%s tells of a tab that it does not have: %s", b.name, lines.Bytes())
		}
		if line.On == TabWrong {
			return fmt.Errorf("the login of %s was answered with %s", line.UID, line.Text)
		}
		t.update(line)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ending {
		return nil
	}
	return errors.Join(fmt.Errorf("%s ended by itself; see its log", b.name), lines.Err())
}

// Open opens a tab in a browser; each number stands for one of them. If that is being killed, the tab is gone at once.
func (s *Browsers) Open(i int, o Opening) (*Tab, error) {
	s.mu.Lock()
	b := s.all[i%len(s.all)]
	s.mu.Unlock()
	t := newTab(o.Tab, b, len(o.Transports) > 1 || o.Transports[0] != "websocket")
	line := Line{On: TabOrdered, Browser: b.name, Tab: o.Tab, Lib: o.Lib, Slow: t.polls, Greet: o.Greet, Page: o.Page}
	if err := s.diary.Note(line); err != nil {
		return nil, err
	}
	b.mu.Lock()
	b.tabs[o.Tab] = t
	gone := b.gone
	b.mu.Unlock()
	if gone > 0 {
		t.lose(gone)
		return t, nil
	}
	return t, b.tell(struct {
		Do  string `json:"do"`
		URL string `json:"url"`
		Opening
	}{"open", s.url, o})
}

// tell sends a command. A browser that is gone does not get it.
func (b *browser) tell(command any) error {
	text, err := json.Marshal(command)
	if err != nil {
		return fmt.Errorf("telling %s: %w", b.name, err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ending {
		return nil
	}
	if _, err := b.in.Write(append(text, '\n')); err != nil {
		return fmt.Errorf("telling %s: %w", b.name, err)
	}
	return nil
}

// freeze has one of the browsers do nothing for a while.
func (s *Browsers) freeze(ctx context.Context, random *rand.Rand, d time.Duration) error {
	b := s.all[random.IntN(len(s.all))] // only replace changes it, which the caller alone calls
	if err := s.diary.Note(Line{On: BrowserStop, Browser: b.name}); err != nil {
		return err
	}
	if err := suspend(b.cmd.Process); err != nil {
		return fmt.Errorf("stopping %s: %w", b.name, err)
	}
	sleepErr := Sleep(ctx, d)
	if err := resume(b.cmd.Process); err != nil {
		return fmt.Errorf("continuing %s: %w", b.name, err)
	}
	return errors.Join(sleepErr, s.diary.Note(Line{On: BrowserCont, Browser: b.name}))
}

// kill kills one of the browsers and puts another in its place.
func (s *Browsers) kill(random *rand.Rand) error {
	i := random.IntN(len(s.all))
	b := s.all[i] // only replace changes it, which the caller alone calls
	b.end()
	if err := b.cmd.Process.Kill(); err != nil {
		return fmt.Errorf("killing %s: %w", b.name, err)
	}
	<-b.read
	if err := b.cmd.Wait(); err == nil {
		return fmt.Errorf("killing %s: it had ended by itself", b.name)
	}
	if err := s.diary.Note(Line{On: BrowserGone, Browser: b.name}); err != nil {
		return err
	}
	for _, t := range b.lost() {
		t.lose(b.gone)
	}
	return s.replace(i)
}

// end has the browser get no more commands.
func (b *browser) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ending = true
}

// lost returns the tabs of a browser whose process is gone.
func (b *browser) lost() []*Tab {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.gone = Now()
	return slices.Collect(maps.Values(b.tabs))
}

// close ends all browsers.
func (s *Browsers) close() error {
	s.mu.Lock()
	all := s.all
	s.mu.Unlock()
	var errs []error
	for _, b := range all {
		if b != nil {
			errs = append(errs, b.close())
		}
	}
	return errors.Join(errs...)
}

func (b *browser) close() error {
	b.end()
	err := b.in.Close()
	select {
	case <-b.read:
	case <-time.After(10 * time.Second):
		err = errors.Join(err, errors.New("it does not end"), b.cmd.Process.Kill())
		<-b.read
	}
	if err = errors.Join(err, b.cmd.Wait()); err != nil {
		return fmt.Errorf("closing %s: %w", b.name, err)
	}
	return nil
}
