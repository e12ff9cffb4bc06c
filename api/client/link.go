package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// linkBeat is how often a link that is not answered yet finds out whether the server is still there.
const linkBeat = 200 * time.Millisecond

// Link is one lasting request for many pushes: a line for each, answered by a line, in order, while more are sent. It takes
// many times as many pushes a second as single calls do.
//
// Send and Receive are for two goroutines, one each. Answers have to be received: when they pile up, the server reads no more
// pushes, and Send waits. A push whose answer has not come when the link breaks may have been made or not.
type Link struct {
	cancel  context.CancelFunc
	pushes  *io.PipeWriter
	body    io.ReadCloser
	answers *bufio.Reader

	closeOnce sync.Once
	closeErr  error
}

// Link opens a link. It ends with ctx, or with [Link.Close], which must be called.
func (c *Client) Link(ctx context.Context) (*Link, error) {
	ctx, cancel := context.WithCancel(ctx)
	lines, pushes := io.Pipe()
	context.AfterFunc(ctx, func() { lines.CloseWithError(io.ErrClosedPipe) }) // net/http waits for its read of a body, whatever ctx says
	request, err := c.request(ctx, http.MethodPost, []string{"v1", "push", "batch"}, lines)
	if err != nil {
		cancel()
		return nil, err
	}
	request.Header.Set("Content-Type", "application/x-ndjson")
	response, err := c.open(request, pushes)
	if err != nil {
		cancel()
		return nil, unreachable(err)
	}
	if response.StatusCode != http.StatusOK {
		defer cancel()
		text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
		return nil, errors.Join(problemOf(response, text), err, response.Body.Close())
	}
	return &Link{cancel: cancel, pushes: pushes, body: response.Body, answers: bufio.NewReader(response.Body)}, nil
}

// open makes the request of a link. Until it is answered an empty line is sent now and then, which the server skips: when the
// connection is lost meanwhile, net/http notices, but waits for its read of the body, which nothing else would end.
func (c *Client) open(request *http.Request, pushes *io.PipeWriter) (*http.Response, error) {
	answered := make(chan struct{})
	var beat sync.WaitGroup
	beat.Go(func() {
		ticker := time.NewTicker(linkBeat)
		defer ticker.Stop()
		for {
			select {
			case <-answered:
				return
			case <-ticker.C:
			}
			if _, err := pushes.Write([]byte("\n")); err != nil { // the request has ended, as its maker hears
				return
			}
		}
	})
	response, err := c.http.Do(request)
	close(answered)
	beat.Wait()
	return response, err
}

// Send sends one push. It waits while the server reads none.
func (l *Link) Send(p Push) error {
	line, err := encode(p)
	if err != nil {
		return fmt.Errorf("encoding a push: %w", err)
	}
	if _, err := l.pushes.Write(line); err != nil {
		return fmt.Errorf("sending a push: %w", err)
	}
	return nil
}

// CloseSend says that there are no more pushes. The answers to those that there were can still be received.
func (l *Link) CloseSend() error { return l.pushes.Close() }

// Receive returns the answer to the next push that was sent. After CloseSend and the last of them the error is io.EOF. A
// server that ends the link, because it stops or the caller may push no more, says so in a last answer.
func (l *Link) Receive() (Answer, error) {
	line, err := l.answers.ReadBytes('\n')
	switch {
	case errors.Is(err, io.EOF) && len(line) == 0:
		return Answer{}, io.EOF
	case err != nil:
		return Answer{}, fmt.Errorf("receiving an answer: %w", err)
	}
	var a Answer
	if err := json.Unmarshal(line, &a); err != nil {
		return Answer{}, fmt.Errorf("the answer is not one of Crier's: %w", err)
	}
	return a, nil
}

// Close ends the link at once; pushes under way are lost. It may be called more than once, by any goroutine, and makes a
// Send or Receive that waits fail.
func (l *Link) Close() error {
	l.closeOnce.Do(func() {
		l.cancel()
		l.closeErr = errors.Join(l.pushes.CloseWithError(io.ErrClosedPipe), l.body.Close())
	})
	return l.closeErr
}
