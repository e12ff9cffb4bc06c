//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"
)

// caller is a business server that makes one push after the other, each twice if the first try fails.
type caller struct {
	stage  *stage
	number int
	fresh  bool // each on a new connection
	dice   *rand.Rand

	pushes int
	conn   net.Conn // kept from the push before; nil if there is none
	in     *bufio.Reader
}

// live pushes until ctx ends. The push that is under way then is finished.
func (c *caller) live(ctx context.Context) {
	for ctx.Err() == nil {
		if !c.push() {
			select {
			case <-time.After(time.Millisecond):
			case <-ctx.Done():
			}
		}
	}
	c.hangUp()
}

// push makes one push, and notes what became of it; false means that the user of its choice was too far behind.
func (c *caller) push() bool {
	c.pushes++
	u := c.stage.users[c.dice.IntN(len(c.stage.users))]
	content := fmt.Sprintf("%d-%d", c.number, c.pushes)
	p := push{uid: u.uid, stored: c.dice.IntN(2) == 0, kept: u.way.Recovers()}
	options := ""
	if p.stored {
		options = `,"ttl":"1h"`
	}
	body := fmt.Sprintf(`{"id":"p-%s","to":{"users":[%q]},"data":%q%s}`, content, u.uid, content, options)
	if !c.stage.book.expect(content, p) {
		return false
	}
	err := c.try(body)
	if err != nil {
		c.stage.book.failed(content)
		err = c.try(body)
	}
	c.stage.book.answered(content, err)
	return true
}

// try makes a request, and wants 200.
func (c *caller) try(body string) (err error) {
	c.stage.book.tries.Add(1)
	c.stage.book.calling.Add(1)
	defer c.stage.book.calling.Add(-1)
	if c.conn == nil {
		c.conn, err = net.DialTimeout("tcp", c.stage.server.Push, c.stage.o.patience)
		if errors.Is(err, syscall.ECONNREFUSED) {
			c.stage.book.refused.Add(1)
		}
		if err != nil {
			c.conn = nil
			return err
		}
		c.in = bufio.NewReader(c.conn)
	}
	closes, err := c.exchange(body)
	if err != nil || closes || c.fresh {
		c.hangUp()
	}
	return err
}

// exchange sends a request and reads the answer; closes says that it is the connection's last one.
func (c *caller) exchange(body string) (closes bool, err error) {
	if err := c.conn.SetDeadline(time.Now().Add(c.stage.o.patience)); err != nil {
		return true, err
	}
	request := fmt.Sprintf("POST /v1/push HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", c.stage.server.Push, len(body), body)
	if _, err := io.Copy(c.conn, strings.NewReader(request)); err != nil {
		return true, fmt.Errorf("writing: %w", err)
	}
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return true, fmt.Errorf("reading the answer: %w", err)
	}
	answer, err := io.ReadAll(resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return true, fmt.Errorf("reading the answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return resp.Close, fmt.Errorf("answered %s %.200q", resp.Status, answer)
	}
	return resp.Close, nil
}

func (c *caller) hangUp() {
	if c.conn == nil {
		return
	}
	if err := c.conn.Close(); err != nil {
		c.stage.o.Note(err.Error())
	}
	c.conn = nil
}
