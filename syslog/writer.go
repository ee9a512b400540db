package syslog

import (
	"fmt"
	"io"
)

// writer is the one goroutine that touches the disk.
type writer struct {
	queue    *queue
	out      *output
	json     bool
	spare    *batch
	failing  bool      // the last write failed, and that was said on complain
	complain io.Writer // where a failing disk is reported: it cannot be in the log
}

// run writes batches as they come until stop is closed, then the rest.
func (w *writer) run(reopen <-chan chan error, stop <-chan struct{}) {
	w.spare = new(batch)
	for {
		select {
		case <-w.queue.ready:
			w.writeWaiting()
		case answer := <-reopen:
			w.writeWaiting()
			answer <- w.out.reopen()
		case <-stop:
			w.writeWaiting()
			w.out.close()
			return
		}
	}
}

// writeWaiting takes what is queued and writes it. A batch that cannot be
// written is lost and counted: a full disk must not fill the memory too.
func (w *writer) writeWaiting() {
	b, lost := w.queue.take(w.spare)
	w.spare = b
	if b.empty() && lost == 0 {
		return
	}
	err := w.report(lost)
	if err == nil {
		lost = 0
		err = w.write(b)
	}
	if b.written != nil {
		close(b.written)
	}
	if err != nil {
		w.queue.lose(lost + b.records)
	}
	if err != nil && !w.failing {
		fmt.Fprintf(w.complain, "tripost: write to the System Log: %v; records are being lost\n", err)
	}
	w.failing = err != nil
}

func (w *writer) write(b *batch) error {
	for _, p := range b.parts {
		if err := w.out.write(p.day, p.b); err != nil {
			return err
		}
	}
	if b.sync {
		return w.out.sync()
	}
	return nil
}

// report writes a record about lost ones.
func (w *writer) report(lost int) error {
	if lost == 0 {
		return nil
	}
	now := w.queue.now()
	b := appendStamp(nil, now, w.json)
	g := &Logger{source: &source{tag: "SYSTEM"}, prefix: "SYSTEM "}
	text := fmt.Sprintf("%d log records lost: the disk did not take them", lost)
	var s scratch
	if w.json {
		s.json(g, Failure, text, []Field{{"lost", lost}})
	} else {
		s.text(g, Failure, text)
	}
	return w.out.write(now, append(b, s.b...))
}
