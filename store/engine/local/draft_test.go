package local_test

import (
	"bytes"
	"context"
	"testing"

	"tripost/store/engine"
	"tripost/store/engine/local"
)

// draftOf returns a draft of size octets c. The default options make 300 KiB a
// large one.
func draftOf(t *testing.T, e *local.Engine, c byte, size int) engine.Draft {
	t.Helper()
	d, err := e.Draft(context.Background(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Write(bytes.Repeat([]byte{c}, size)); err != nil {
		t.Fatal(err)
	}
	return d
}

// keep makes a draft a blob, and closes it.
func keep(t *testing.T, e *local.Engine, d engine.Draft) engine.Blob {
	t.Helper()
	var b engine.Blob
	err := e.Update(context.Background(), func(tx engine.Tx) (err error) {
		b, err = tx.Keep(d)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	return b
}

// mustHold reads a blob, which must be size octets c.
func mustHold(t *testing.T, e *local.Engine, b engine.Blob, c byte, size int) {
	t.Helper()
	body, err := e.Open(context.Background(), b)
	if err != nil {
		t.Errorf("opening blob %d: %v", b, err)
		return
	}
	defer body.Close()
	var octets bytes.Buffer
	if _, err := body.WriteTo(&octets); err != nil {
		t.Errorf("reading blob %d: %v", b, err)
	}
	if !bytes.Equal(octets.Bytes(), bytes.Repeat([]byte{c}, size)) {
		t.Errorf("blob %d has other octets", b)
	}
}

// TestDraftOutlivesEngine closes a large draft after its engine, when another
// one has the store and has given the same number, and so the same file name,
// to a body.
func TestDraftOutlivesEngine(t *testing.T) {
	t.Parallel()
	const size = 300 << 10
	dir := t.TempDir()
	e, err := local.Open(dir, local.Options{})
	if err != nil {
		t.Fatal(err)
	}
	late := draftOf(t, e, 'a', size)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	next, err := local.Open(dir, local.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	if got := next.Status().Recovered; got != "1 unfinished body files removed" {
		t.Errorf("recovered %q", got)
	}
	b := keep(t, next, draftOf(t, next, 'b', size))
	if err := late.Close(); err != nil {
		t.Error(err)
	}
	mustHold(t, next, b, 'b', size)
}

// TestDraftSaidToBeLarge: what is announced as large goes to a file, and when it
// turns out to be small it is a blob like others.
func TestDraftSaidToBeLarge(t *testing.T) {
	e, err := local.Open(t.TempDir(), local.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	d, err := e.Draft(context.Background(), 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := d.Write([]byte("xx")); err != nil {
			t.Fatal(err)
		}
	}
	mustHold(t, e, keep(t, e, d), 'x', 6)
}
