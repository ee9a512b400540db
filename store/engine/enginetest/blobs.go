package enginetest

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"

	"tripost/store/engine"
)

// octets returns n octets that differ by seed.
func octets(n int, seed uint64) []byte {
	b := make([]byte, n)
	x := seed*2862933555777941757 + 3037000493
	for i := range b {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		b[i] = byte(x)
	}
	return b
}

// draftOf returns a draft with content, which closes when the test ends.
func draftOf(t testing.TB, e engine.Engine, content []byte) engine.Draft {
	t.Helper()
	d, err := e.Draft(background, 0)
	if err != nil {
		t.Fatalf("draft: %v", err)
	}
	t.Cleanup(func() { d.Close() })
	for len(content) > 0 {
		n := min(len(content), 10_000)
		if _, err := d.Write(content[:n]); err != nil {
			t.Fatalf("draft: %v", err)
		}
		content = content[n:]
	}
	return d
}

func keep(t testing.TB, e engine.Engine, content []byte) engine.Blob {
	t.Helper()
	d := draftOf(t, e, content)
	if d.Size() != int64(len(content)) {
		t.Errorf("draft has %d octets, want %d", d.Size(), len(content))
	}
	var blob engine.Blob
	update(t, e, func(tx engine.Tx) (err error) {
		blob, err = tx.Keep(d)
		return err
	})
	if err := d.Close(); err != nil {
		t.Errorf("closing a kept draft: %v", err)
	}
	return blob
}

func read(t testing.TB, e engine.Engine, blob engine.Blob) []byte {
	t.Helper()
	body, err := e.Open(background, blob)
	if err != nil {
		t.Fatalf("open blob %d: %v", blob, err)
	}
	defer body.Close()
	return readBody(t, body)
}

func readBody(t testing.TB, body engine.Body) []byte {
	t.Helper()
	var b bytes.Buffer
	n, err := body.WriteTo(&b)
	if err != nil || n != body.Size() || int64(b.Len()) != n {
		t.Fatalf("body of %d octets: wrote %d, got %d: %v", body.Size(), n, b.Len(), err)
	}
	return b.Bytes()
}

func testBlobs(t *testing.T, open Opener) {
	e, reopen := open(t)
	sizes := []int{0, 1, 100, 4096, 65_535, 65_536, 65_537, 256<<10 - 1, 256 << 10, 256<<10 + 1, 3 << 20}
	blobs := map[engine.Blob][]byte{}
	for i, size := range sizes {
		content := octets(size, uint64(i))
		blob := keep(t, e, content)
		if blob == 0 || blobs[blob] != nil {
			t.Fatalf("blob %d was given out again", blob)
		}
		blobs[blob] = content
	}
	check := func() {
		t.Helper()
		for blob, content := range blobs {
			if got := read(t, e, blob); !bytes.Equal(got, content) {
				t.Errorf("blob of %d octets differs", len(content))
			}
			checkReadAt(t, e, blob, content)
		}
	}
	check()
	e = reopen()
	check()
	if result := CheckClean(t, e); result.Blobs != int64(len(blobs)) {
		t.Errorf("check counts %d blobs, want %d", result.Blobs, len(blobs))
	}
	if next := keep(t, e, []byte("x")); blobs[next] != nil {
		t.Errorf("blob %d was given out again after reopening", next)
	}
	if _, err := e.Open(background, 1<<40); !errors.Is(err, engine.ErrNoBlob) {
		t.Errorf("opening a blob that never was: %v", err)
	}
	list := []engine.Blob{1 << 40}
	for b := range blobs {
		list = append(list, b)
	}
	checkOpenAll(t, e, blobs, list)
	slices.Sort(list)
	checkOpenAll(t, e, blobs, list)
	slices.Reverse(list)
	checkOpenAll(t, e, blobs, append(list, list...))
}

// checkOpenAll opens the blobs of a list at once, and one that never was among them.
func checkOpenAll(t *testing.T, e engine.Engine, blobs map[engine.Blob][]byte, list []engine.Blob) {
	t.Helper()
	called := 0
	err := e.OpenAll(background, list, func(i int, body engine.Body, err error) {
		if called++; i != called-1 {
			t.Errorf("blob %d comes as the %d-th", i, called)
		}
		if list[i] == 1<<40 {
			if !errors.Is(err, engine.ErrNoBlob) {
				t.Errorf("opening a blob that never was among others: %v", err)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		defer body.Close()
		var got bytes.Buffer
		if _, err := body.WriteTo(&got); err != nil || !bytes.Equal(got.Bytes(), blobs[list[i]]) {
			t.Errorf("blob of %d octets opened with others differs: %v", len(blobs[list[i]]), err)
		}
	})
	if err != nil || called != len(list) {
		t.Errorf("%d of %d blobs opened: %v", called, len(list), err)
	}
}

func checkReadAt(t *testing.T, e engine.Engine, blob engine.Blob, content []byte) {
	t.Helper()
	body, err := e.Open(background, blob)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	got, err := io.ReadAll(io.NewSectionReader(body, 0, body.Size()))
	if err != nil || !bytes.Equal(got, content) {
		t.Errorf("blob of %d octets read by ReadAt differs: %v", len(content), err)
	}
	if n, err := body.ReadAt(make([]byte, 10), int64(len(content))); n != 0 || err != io.EOF {
		t.Errorf("reading behind the end: %d, %v", n, err)
	}
	if len(content) >= 5 {
		b := make([]byte, 10)
		n, err := body.ReadAt(b, int64(len(content)-5))
		if n != 5 || err != io.EOF || !bytes.Equal(b[:5], content[len(content)-5:]) {
			t.Errorf("reading across the end: %d, %v", n, err)
		}
	}
}

func testBlobReferences(t *testing.T, open Opener) {
	for _, size := range []int{1000, 600_000} {
		e, reopen := open(t)
		content := octets(size, 7)
		blob := keep(t, e, content)
		update(t, e, func(tx engine.Tx) error {
			if n, err := tx.BlobSize(blob); err != nil || n != int64(size) {
				t.Errorf("BlobSize = %d, %v", n, err)
			}
			return tx.Share(blob)
		})
		drop := func(wantLast bool) {
			t.Helper()
			var last bool
			update(t, e, func(tx engine.Tx) (err error) {
				last, err = tx.Drop(blob)
				return err
			})
			if last != wantLast {
				t.Errorf("drop said last: %v", last)
			}
		}
		references := func() (n int64) {
			t.Helper()
			view(t, e, func(r engine.Reader) (err error) {
				n, err = r.References(blob)
				return err
			})
			return n
		}
		if n := references(); n != 2 {
			t.Errorf("%d references, want 2", n)
		}
		drop(false)
		e = reopen()
		if got := read(t, e, blob); !bytes.Equal(got, content) {
			t.Error("blob differs after one of two references went")
		}

		// An error gives the last reference back.
		err := e.Update(background, func(tx engine.Tx) error {
			if _, err := tx.Drop(blob); err != nil {
				return err
			}
			if _, err := tx.BlobSize(blob); !errors.Is(err, engine.ErrNoBlob) {
				t.Errorf("size of a dropped blob: %v", err)
			}
			return errRefused
		})
		if !errors.Is(err, errRefused) || references() != 1 {
			t.Errorf("after an undone drop: %v, %d references", err, references())
		}

		body, err := e.Open(background, blob)
		if err != nil {
			t.Fatal(err)
		}
		drop(true)
		if _, err := e.Open(background, blob); !errors.Is(err, engine.ErrNoBlob) {
			t.Errorf("opening a dropped blob: %v", err)
		}
		if n := references(); n != 0 {
			t.Errorf("%d references after the last one went", n)
		}
		if _, err := e.Compact(background); err != nil {
			t.Errorf("compact: %v", err)
		}
		if got := readBody(t, body); !bytes.Equal(got, content) {
			t.Error("open body differs after the blob was dropped")
		}
		body.Close()
		err = e.Update(background, func(tx engine.Tx) error { return tx.Share(blob) })
		if !errors.Is(err, engine.ErrNoBlob) {
			t.Errorf("sharing a dropped blob: %v", err)
		}
		e = reopen()
		if _, err := e.Open(background, blob); !errors.Is(err, engine.ErrNoBlob) {
			t.Errorf("opening a dropped blob after reopening: %v", err)
		}
		CheckClean(t, e)
	}
}

func testDraftRules(t *testing.T, open Opener) {
	for _, size := range []int{1000, 600_000} {
		e, _ := open(t)
		content := octets(size, 3)

		discarded := draftOf(t, e, content)
		if err := discarded.Close(); err != nil {
			t.Errorf("discarding: %v", err)
		}
		if err := e.Update(background, func(tx engine.Tx) error { _, err := tx.Keep(discarded); return err }); err == nil {
			t.Error("a closed draft was kept")
		}

		// A draft of an undone Update can be kept by the next one.
		d := draftOf(t, e, content)
		err := e.Update(background, func(tx engine.Tx) error {
			if _, err := tx.Keep(d); err != nil {
				return err
			}
			return errRefused
		})
		if !errors.Is(err, errRefused) {
			t.Errorf("update returned %v", err)
		}
		var blob engine.Blob
		update(t, e, func(tx engine.Tx) (err error) {
			if blob, err = tx.Keep(d); err != nil {
				return err
			}
			if _, again := tx.Keep(d); again == nil {
				t.Error("a draft was kept twice in one update")
			}
			return nil
		})
		if err := e.Update(background, func(tx engine.Tx) error { _, err := tx.Keep(d); return err }); err == nil {
			t.Error("a draft was kept by two updates")
		}
		if _, err := d.Write([]byte("more")); err == nil {
			t.Error("a kept draft took more octets")
		}
		d.Close()
		if got := read(t, e, blob); !bytes.Equal(got, content) {
			t.Error("blob differs")
		}

		// One that is kept and dropped at once leaves nothing.
		d = draftOf(t, e, content)
		update(t, e, func(tx engine.Tx) (err error) {
			if blob, err = tx.Keep(d); err != nil {
				return err
			}
			_, err = tx.Drop(blob)
			return err
		})
		d.Close()
		if _, err := e.Open(background, blob); !errors.Is(err, engine.ErrNoBlob) {
			t.Errorf("opening a blob kept and dropped at once: %v", err)
		}
		if result := CheckClean(t, e); result.Blobs != 1 {
			t.Errorf("%d blobs, want 1", result.Blobs)
		}
	}
}
