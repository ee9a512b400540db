package main

import (
	"bufio"
	"bytes"
	"net"
	"sync"
	"sync/atomic"
)

// sink takes mail as fast as it comes and counts it. While it is shut it lets
// clients wait for its greeting.
type sink struct {
	addr  string
	taken atomic.Int64
	open  chan struct{}
	ln    net.Listener
	once  sync.Once
	came  atomic.Int64 // connections
}

func newSink() (*sink, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &sink{addr: ln.Addr().String(), open: make(chan struct{}), ln: ln}
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go s.serve(conn)
		}
	}()
	return s, nil
}

// unlock lets the mail come.
func (s *sink) unlock() { s.once.Do(func() { close(s.open) }) }

func (s *sink) close() { s.ln.Close() }

func (s *sink) serve(conn net.Conn) {
	defer conn.Close()
	s.came.Add(1)
	<-s.open
	r, w := bufio.NewReaderSize(conn, 64<<10), bufio.NewWriter(conn)
	say := func(line string) bool {
		w.WriteString(line + "\r\n")
		return r.Buffered() > 0 || w.Flush() == nil // pipelined commands are answered together
	}
	if !say("220 sink ESMTP") {
		return
	}
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return
		}
		reply := "250 ok"
		switch verb := bytes.ToUpper(line[:min(4, len(line))]); string(verb) {
		case "EHLO":
			reply = "250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 100000000"
		case "QUIT":
			say("221 bye")
			return
		case "DATA":
			w.WriteString("354 go on\r\n")
			if w.Flush() != nil || !skipData(r) {
				return
			}
			s.taken.Add(1)
		}
		if !say(reply) {
			return
		}
	}
}

// skipData reads to the end of a message.
func skipData(r *bufio.Reader) bool {
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return false
		}
		if string(line) == ".\r\n" {
			return true
		}
	}
}
