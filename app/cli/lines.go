package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/urfave/cli/v2"

	"crier/api/client"
)

const (
	// maxLine is how long a line of standard input may be, in bytes; the server takes less unless it is told otherwise.
	maxLine = 64 << 20
	// maxPending is how many lines may be on their way to an answer.
	maxPending = 1000
)

// errRefused is the end of a run in which lines were refused; each has been reported.
var errRefused = errors.New("not every line was pushed")

// sent is a line that awaits its answer, or what is wrong with it.
type sent struct {
	number int
	err    error // it was not sent
}

// tally counts answers.
type tally struct{ pushed, refused, connections int }

// after says how far a run is that has lasted so long.
func (t tally) after(since time.Duration) string {
	return fmt.Sprintf("%s pushed, %d refused, %.0f a second", count(t.pushed, "line"), t.refused, float64(t.pushed)/max(since.Seconds(), 0.001))
}

// pushLines pushes a message like p for each line of standard input, over one link. data makes a line the data of a message.
func pushLines(c *cli.Context, p client.Push, data func(line []byte) (any, error)) error {
	caller, err := port(c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(c.Context)
	defer cancel()
	link, err := caller.Link(ctx)
	if err != nil {
		return explained(c, err)
	}
	// The goroutine ends with standard input, or with a link that breaks when it has the next line: a read of a
	// terminal cannot be ended. Then the program ends with this function.
	pending, read := make(chan sent, maxPending), make(chan error, 1)
	go func() {
		read <- sendLines(ctx, c.App.Reader, link, p, data, pending)
		close(pending)
	}()
	t, err := report(c, link, pending)
	if err == nil {
		err = <-read
	}
	if !c.Bool("json") {
		_, printErr := fmt.Fprintf(c.App.Writer, "%s pushed, %d refused; matched %s\n", count(t.pushed, "line"), t.refused, count(t.connections, "connection"))
		err = errors.Join(err, printErr)
	}
	if err == nil && t.refused > 0 {
		err = errRefused
	}
	return errors.Join(err, link.Close())
}

// sendLines sends what in has, files each line as pending before that, and says to the link that there are no more.
func sendLines(ctx context.Context, in io.Reader, link *client.Link, p client.Push, data func([]byte) (any, error), pending chan<- sent) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxLine)
	for n := 1; lines.Scan(); n++ {
		line := lines.Bytes()
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		one := sent{number: n}
		p.Data, one.err = data(line)
		select {
		case pending <- one:
		case <-ctx.Done():
			return nil // who reads the answers knows why
		}
		if one.err != nil {
			continue
		}
		if err := link.Send(p); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return errors.Join(fmt.Errorf("reading standard input: %w", err), link.CloseSend())
	}
	return link.CloseSend()
}

// report reads the answers to the pending lines, and prints them.
func report(c *cli.Context, link *client.Link, pending <-chan sent) (t tally, err error) {
	line := newProgress(terminalOf(c.App.ErrWriter))
	defer line.clear()
	for one := range pending {
		bad := one.err
		var answer client.Answer
		if bad == nil {
			answer, err = link.Receive()
			switch {
			case errors.Is(err, io.EOF):
				return t, fmt.Errorf("the server ended the connection before it answered line %d", one.number)
			case err != nil:
				return t, fmt.Errorf("line %d and those behind it may have been pushed or not: %w", one.number, err)
			case answer.Problem != nil:
				bad = answer.Problem
			}
		}
		if bad != nil {
			t.refused++
			line.clear()
			fmt.Fprintf(c.App.ErrWriter, "crier: line %d: %v\n", one.number, bad)
			continue
		}
		t.pushed++
		t.connections += answer.Result.Matched.Connections
		if !c.Bool("json") {
			line.say(len(pending) == 0, t.after)
		} else {
			if err := printJSON(c.App.Writer, answer.Result); err != nil {
				return t, err
			}
		}
	}
	return t, nil
}
