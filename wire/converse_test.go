package wire

import (
	"bufio"
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// answerLines answers each line that has arrived.
func answerLines(c *Conn, turns *int) func() error {
	return func() error {
		*turns++
		for {
			line, err := c.ReadLine(512)
			if err != nil {
				return err
			}
			c.WriteString("+OK " + string(line) + "\r\n")
			if c.Buffered() == 0 {
				return nil
			}
		}
	}
}

// ask sends a line and waits for the answer.
func ask(t testing.TB, peer net.Conn, r *bufio.Reader, line string) {
	t.Helper()
	send(peer, line+"\r\n")
	if got, err := r.ReadString('\n'); err != nil || got != "+OK "+line+"\r\n" {
		t.Fatalf("%q, %v", got, err)
	}
}

// Whatever the client's pace, its commands are answered, and calls of Wake and
// Interrupt get through.
func TestConverse(t *testing.T) {
	t.Parallel()
	gone := errors.New("shutting down")
	onEach(t, func(t *testing.T, c *Conn, peer net.Conn) {
		woken, done := make(chan struct{}), make(chan error, 1)
		go func() {
			turns := 0
			for {
				err := c.WaitInput(context.Background(), nil)
				if err == nil {
					err = c.Converse(context.Background(), answerLines(c, &turns))
				}
				if errors.Is(err, ErrWoken) {
					woken <- struct{}{}
				} else if err != nil {
					done <- err
					return
				}
			}
		}()
		r := bufio.NewReader(peer)
		for _, line := range []string{"one", "two", "three"} {
			ask(t, peer, r, line)
			c.Wake()
			<-woken
			ask(t, peer, r, line)
		}
		c.Interrupt(gone)
		if err := <-done; err != gone {
			t.Errorf("ended with %v", err)
		}
	})
}

// The time that Converse has waited counts as silence of the client.
func TestConverseCountsSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		config := timeouts()
		c, peer := pipePair(t, config)
		turns := 0
		done := make(chan error, 1)
		go func() {
			err := c.Converse(context.Background(), answerLines(c, &turns))
			if err == nil {
				err = c.WaitInput(context.Background(), nil)
			}
			done <- err
		}()
		r := bufio.NewReader(peer)
		ask(t, peer, r, "one")
		ask(t, peer, r, "two")
		begin := time.Now()
		if err := <-done; err != ErrIdle {
			t.Errorf("%v", err)
		}
		if took := time.Since(begin); took < config.Read || took > config.Read+config.Read/16 {
			t.Errorf("gave up after %v", took)
		}
		if turns != 2 {
			t.Errorf("%d turns", turns)
		}
	})
}

// BenchmarkConverse is one command and its answer, over TCP, client included.
func BenchmarkConverse(b *testing.B) {
	c, peer := tcpPair(b, timeouts())
	r := bufio.NewReader(peer)
	turns := 0
	done := make(chan error, 1)
	go func() {
		for {
			if err := c.WaitInput(context.Background(), nil); err != nil {
				done <- err
				return
			}
			if err := c.Converse(context.Background(), answerLines(c, &turns)); err != nil {
				done <- err
				return
			}
		}
	}()
	line := []byte("NOOP\r\n")
	b.ReportAllocs()
	for b.Loop() {
		peer.Write(line)
		if _, err := r.ReadSlice('\n'); err != nil {
			b.Fatal(err)
		}
	}
	peer.Close()
	<-done
}
