package api

import (
	"errors"
	"io"
	"testing"
	"testing/synctest"
)

// What has been read ahead is taken without a word; before Read waits, it says so.
func TestAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, to := io.Pipe()
		dry, more := 0, make(chan struct{})
		a := newAhead(src, 4, func() {
			dry++
			more <- struct{}{}
		})
		broken := errors.New("broken")
		go func() {
			for _, text := range []string{"abcdef", "gh"} {
				if _, err := io.WriteString(to, text); err != nil {
					t.Error(err)
				}
				<-more
			}
			to.CloseWithError(broken)
		}()
		read := func(size int, want string, wantDry int) {
			t.Helper()
			p := make([]byte, size)
			n, err := a.Read(p)
			if string(p[:n]) != want || err != nil || dry != wantDry {
				t.Errorf("%q, %v, dry %d times; want %q, %d", p[:n], err, dry, want, wantDry)
			}
		}
		synctest.Wait() // both pieces are full
		read(3, "abc", 0)
		read(3, "d", 0)
		read(8, "ef", 0)
		read(8, "gh", 1)
		for range 2 {
			if n, err := a.Read(make([]byte, 1)); n != 0 || !errors.Is(err, broken) || dry != 2 {
				t.Errorf("%d, %v, dry %d times", n, err, dry)
			}
		}
		if !a.ended() {
			t.Error("not ended")
		}
		a.close()
	})
}

// close waits for who reads the source.
func TestAheadClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, to := io.Pipe()
		a := newAhead(src, 4, func() {})
		closed := false
		go func() {
			a.close()
			closed = true
		}()
		synctest.Wait()
		if closed {
			t.Error("closed while the source was read")
		}
		if err := to.Close(); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if !closed {
			t.Error("not closed")
		}
	})
}
