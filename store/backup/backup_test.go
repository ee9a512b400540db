package backup_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tripost/store"
	"tripost/store/backup"
	"tripost/store/engine/local"
	"tripost/store/storetest"
)

var ctx = context.Background()

// world is a data directory with a store, mail in it, and files beside it.
type world struct {
	*testing.T
	data, dir string
	store     *store.Store
	owner     store.Identity
	now       time.Time
	mails     int
}

func newWorld(t *testing.T) *world {
	t.Parallel()
	w := &world{T: t, data: t.TempDir(), dir: filepath.Join(t.TempDir(), "backups"), now: time.Date(2026, 3, 1, 4, 0, 0, 0, time.UTC)}
	w.store = storetest.Open(t, filepath.Join(w.data, "store"), store.Options{Undelete: time.Hour})
	err := w.store.Update(ctx, func(tx *store.Tx) (err error) {
		w.owner = store.Identity{Name: "ann@company.test"}
		w.owner.Account, err = tx.CreateAccount()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	w.put("own.pem", "a key")
	w.put("dkim/company.test.pem", "another key")
	w.put("SystemLogs/2026-03-01.log", "who signed in")
	return w
}

func (w *world) put(name, text string) {
	path := filepath.Join(w.data, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		w.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		w.Fatal(err)
	}
}

// deliver appends mail; every third one is large enough for a file of its own.
func (w *world) deliver(n int) {
	w.Helper()
	for range n {
		w.mails++
		text := fmt.Sprintf("Subject: %d\r\n\r\n%s\r\n", w.mails, "Hello")
		if w.mails%3 == 0 {
			text += strings.Repeat(fmt.Sprintf("%070d\r\n", w.mails), 5000)
		}
		d, err := w.store.Draft(ctx, int64(len(text)))
		if err != nil {
			w.Fatal(err)
		}
		io.WriteString(d, text)
		_, err = w.store.Append(ctx, w.owner, store.MailboxRef{Account: w.owner.Account, Name: store.Inbox}, d, store.FlagSet{}, time.Time{})
		if err = errors.Join(err, d.Close()); err != nil {
			w.Fatal(err)
		}
	}
}

func (w *world) make() backup.Made {
	w.Helper()
	w.now = w.now.Add(time.Hour)
	made, err := backup.Make(ctx, w.dir, backup.Options{
		Engine: w.store.Engine(), Data: w.data, Files: []string{filepath.Join(w.data, "own.pem"), filepath.Join(w.data, "dkim"), filepath.Join(w.data, "not", "there")}, Product: "tripost test", Now: w.now,
	})
	if err != nil {
		w.Fatal(err)
	}
	return made
}

// messages opens a store and returns the subjects in the mailbox.
func (w *world) messages(dir string) []string {
	w.Helper()
	e, err := local.Open(dir, local.Options{})
	if err != nil {
		w.Fatal(err)
	}
	s, err := store.New(ctx, e, store.Options{Undelete: time.Hour})
	if err != nil {
		w.Fatal(err)
	}
	defer s.Close()
	storetest.Check(w, s)
	v, err := s.Open(ctx, w.owner, store.MailboxRef{Account: w.owner.Account, Name: store.Inbox}, true)
	if err != nil {
		w.Fatal(err)
	}
	defer v.Close()
	if err := v.Load(ctx); err != nil {
		w.Fatal(err)
	}
	var list []string
	for seq := 1; seq <= v.Len(); seq++ {
		body, err := s.OpenBody(ctx, v.At(seq).Body)
		if err != nil {
			w.Fatal(err)
		}
		var text strings.Builder
		if _, err := body.WriteTo(&text); err != nil {
			w.Fatal(err)
		}
		body.Close()
		line, _, _ := strings.Cut(text.String(), "\r\n")
		list = append(list, strings.TrimPrefix(line, "Subject: "))
	}
	return list
}

func numbers(from, to int) (list []string) {
	for n := from; n <= to; n++ {
		list = append(list, fmt.Sprint(n))
	}
	return list
}

func (w *world) find(dir string) backup.Entry {
	w.Helper()
	e, err := backup.Find(dir)
	if err != nil {
		w.Fatal(err)
	}
	return e
}

func TestBackupAndRestore(t *testing.T) {
	w := newWorld(t)
	w.deliver(20)
	first := w.make()
	w.deliver(10)
	second := w.make()
	if first.Written != first.Octets() || second.Written >= second.Octets()*2/3 {
		t.Errorf("wrote %d of %d octets, then %d of %d", first.Written, first.Octets(), second.Written, second.Octets())
	}
	for _, m := range []backup.Made{first, second} {
		if err := backup.Verify(ctx, m.Entry); err != nil {
			t.Error(err)
		}
	}
	for dir, want := range map[string]int{first.Dir: 20, w.dir: 30} {
		data := filepath.Join(t.TempDir(), "data")
		kept, err := backup.Restore(ctx, w.find(dir), data, func(string) error { return nil })
		if err != nil || len(kept) > 0 {
			t.Fatalf("kept %q, %v", kept, err)
		}
		if got := w.messages(filepath.Join(data, "store")); !slices.Equal(got, numbers(1, want)) {
			t.Errorf("restored %q", got)
		}
		if key, err := os.ReadFile(filepath.Join(data, "dkim", "company.test.pem")); string(key) != "another key" {
			t.Errorf("key %q, %v", key, err)
		}
		if got, want := namesIn(t, data), []string{"dkim", "own.pem", "store"}; !slices.Equal(got, want) {
			t.Errorf("restored %q, want %q", got, want)
		}
	}
}

func namesIn(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestRestoreRefuses(t *testing.T) {
	w := newWorld(t)
	w.deliver(5)
	made := w.make()
	t.Run("over a store", func(t *testing.T) {
		if _, err := backup.Restore(ctx, made.Entry, w.data, nil); !errors.Is(err, backup.ErrNotEmpty) {
			t.Error(err)
		}
	})
	t.Run("when the end fails", func(t *testing.T) {
		data, stop := t.TempDir(), errors.New("no")
		if _, err := backup.Restore(ctx, made.Entry, data, func(string) error { return stop }); !errors.Is(err, stop) {
			t.Error(err)
		}
		if left, _ := os.ReadDir(data); len(left) > 0 {
			t.Errorf("left %v", left)
		}
	})
	t.Run("nothing", func(t *testing.T) {
		if _, err := backup.Find(t.TempDir()); !errors.Is(err, backup.ErrNoBackup) {
			t.Error(err)
		}
	})
	t.Run("what is interrupted", func(t *testing.T) {
		stopped, stop := context.WithCancel(ctx)
		stop()
		if _, err := backup.Restore(stopped, made.Entry, t.TempDir(), nil); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	t.Run("to overwrite keys", func(t *testing.T) {
		data := t.TempDir()
		key := filepath.Join(data, "own.pem")
		if err := os.WriteFile(key, []byte("newer"), 0o600); err != nil {
			t.Fatal(err)
		}
		kept, err := backup.Restore(ctx, made.Entry, data, func(string) error { return nil })
		text, _ := os.ReadFile(key)
		if err != nil || !slices.Equal(kept, []string{key}) || string(text) != "newer" {
			t.Errorf("kept %q, %q, %v", kept, text, err)
		}
	})
}

// TestDamage changes each kind of file of a backup: verifying names it, and
// restoring does not go through.
func TestDamage(t *testing.T) {
	w := newWorld(t)
	w.deliver(10)
	made := w.make()
	for _, f := range made.Files {
		t.Run(f.Name, func(t *testing.T) {
			path := filepath.Join(made.Dir, filepath.FromSlash(f.Name))
			if f.Size == 0 {
				return
			}
			good, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			bad := slices.Clone(good)
			bad[len(bad)/2] ^= 4
			replace(t, path, bad)
			defer replace(t, path, good)
			if err := backup.Verify(ctx, made.Entry); !errors.Is(err, backup.ErrDamaged) || !strings.Contains(err.Error(), f.Name) {
				t.Errorf("verified: %v", err)
			}
			data := t.TempDir()
			if _, err := backup.Restore(ctx, made.Entry, data, func(string) error { return nil }); !errors.Is(err, backup.ErrDamaged) {
				t.Errorf("restored: %v", err)
			}
			if _, err := os.Stat(filepath.Join(data, "store")); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("a store was left: %v", err)
			}
		})
	}
	if err := os.WriteFile(filepath.Join(made.Dir, "store", "more"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := backup.Verify(ctx, made.Entry); !errors.Is(err, backup.ErrDamaged) {
		t.Errorf("a file too many: %v", err)
	}
}

// replace puts another file in the place of one, which may have other names.
func replace(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestManifest refuses manifests that lead elsewhere or cannot be read.
func TestManifest(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{"format":1,"files":[{"name":"../../etc/passwd"}]}`: "its manifest names",
		`{"format":1,"files":[{"name":"/etc/passwd"}]}`:      "its manifest names",
		`{"format":1,"directories":["../../home"]}`:          "its manifest names",
		`{"format":2}`: "format 2",
		`{`:            "MANIFEST.json",
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "MANIFEST.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := backup.Find(dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestScratch opens a copy for looking, which leaves the backup as it was.
func TestScratch(t *testing.T) {
	w := newWorld(t)
	w.deliver(2) // none of them large
	made := w.make()
	scratch := filepath.Join(t.TempDir(), "scratch")
	if err := backup.Scratch(ctx, made.Entry, scratch); err != nil {
		t.Fatal(err)
	}
	if got := w.messages(scratch); !slices.Equal(got, numbers(1, 2)) {
		t.Errorf("messages %q", got)
	}
	if err := backup.Verify(ctx, made.Entry); err != nil {
		t.Error(err)
	}
}

func TestPrune(t *testing.T) {
	w := newWorld(t)
	for range 4 {
		w.deliver(3)
		w.make()
	}
	left := filepath.Join(w.dir, "20260228T000000.000Z.new")
	if err := os.Mkdir(left, 0o700); err != nil {
		t.Fatal(err)
	}
	w.make()
	if _, err := os.Stat(left); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what an interrupted run left is there: %v", err)
	}
	gone, err := backup.Prune(w.dir, 2)
	if err != nil || len(gone) != 3 {
		t.Fatalf("%d went, %v", len(gone), err)
	}
	list, damaged, err := backup.List(w.dir)
	if errors.Join(damaged, err) != nil || len(list) != 2 || !list[1].Time.Equal(w.now) {
		t.Fatalf("%v, %v", list, err)
	}
	for _, e := range list {
		if err := backup.Verify(ctx, e); err != nil {
			t.Error(err)
		}
	}
	if gone, err := backup.Prune(w.dir, 0); err != nil || len(gone) > 0 {
		t.Errorf("%d went without a limit, %v", len(gone), err)
	}
}

// TestDamagedManifest: a backup that cannot be read stands in the way of no other,
// but is never taken for one that is not there.
func TestDamagedManifest(t *testing.T) {
	w := newWorld(t)
	w.deliver(3)
	old, made := w.make(), w.make()
	if err := os.WriteFile(filepath.Join(made.Dir, "MANIFEST.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := backup.Find(w.dir); err == nil || !strings.Contains(err.Error(), made.Dir) {
		t.Errorf("the newest one: %v", err)
	}
	if e, err := backup.Find(old.Dir); err != nil || e.Dir != old.Dir {
		t.Errorf("one by its name: %v, %v", e, err)
	}
	last := w.make()
	list, damaged, err := backup.List(w.dir)
	if err != nil || damaged == nil || len(list) != 2 || list[1].Dir != last.Dir {
		t.Errorf("listed are %v, damaged %v, %v", list, damaged, err)
	}
	if gone, err := backup.Prune(w.dir, 1); err != nil || len(gone) != 1 || gone[0].Dir != old.Dir {
		t.Errorf("went %v, %v", gone, err)
	}
}

// TestSameTime does not write into a backup that is there.
func TestSameTime(t *testing.T) {
	w := newWorld(t)
	w.make()
	w.now = w.now.Add(-time.Hour)
	o := backup.Options{Engine: w.store.Engine(), Data: w.data, Now: w.now.Add(time.Hour)}
	if _, err := backup.Make(ctx, w.dir, o); !errors.Is(err, fs.ErrExist) {
		t.Error(err)
	}
}
