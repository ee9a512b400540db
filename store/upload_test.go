package store_test

import (
	"errors"
	"io"
	"testing"

	"tripost/store"
)

// uploads makes drafts of texts, closed when the test ends.
func uploads(t *testing.T, s *store.Store, hint int64, texts ...string) []store.Upload {
	t.Helper()
	var list []store.Upload
	for _, text := range texts {
		d, err := s.Draft(ctx, hint)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { d.Close() })
		if _, err := io.WriteString(d, text); err != nil {
			t.Fatal(err)
		}
		list = append(list, store.Upload{Draft: d, Flags: store.FlagSet{System: seen}})
	}
	return list
}

// TestAppendAll appends several messages, small ones announced as large among
// them, and none where one of them cannot be.
func TestAppendAll(t *testing.T) {
	s, ann := open(t)
	inbox := box(ann, "INBOX")
	list := append(uploads(t, s, 0, mail("one"), mail("two")), uploads(t, s, 1<<30, mail("three"))...)
	done, err := s.AppendAll(ctx, ann, inbox, list)
	if err != nil {
		t.Fatal(err)
	}
	if len(done) != 3 || done[0].UID != 1 || done[2].UID != 3 {
		t.Errorf("appended %v", done)
	}
	v := openView(t, s, ann, inbox)
	if v.Len() != 3 || v.At(3).Flags != seen || v.At(3).Size != int64(len(mail("three"))) {
		t.Errorf("%d messages, the last %+v", v.Len(), v.At(v.Len()))
	}
	limit := 3*int64(len(mail("one"))) + 40
	if err := s.Update(ctx, func(tx *store.Tx) error { return tx.SetQuota(ann.Account, limit+int64(len(mail("four"))), 0) }); err != nil {
		t.Fatal(err)
	}
	if _, err := s.AppendAll(ctx, ann, inbox, uploads(t, s, 0, mail("four"), mail("five"))); !errors.Is(err, store.ErrOverQuota) {
		t.Errorf("over quota: %v", err)
	}
	if _, st, _ := s.Mailbox(ctx, ann, inbox); st.Exists != 3 || st.UIDNext != 4 {
		t.Errorf("after the refusal %+v", st)
	}
}

// TestReplace puts a message in the place of another.
func TestReplace(t *testing.T) {
	s, ann := open(t)
	inbox := box(ann, "INBOX")
	if err := s.Create(ctx, ann, box(ann, "Drafts"), store.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	appendTo(t, s, ann, inbox, mail("one"), store.FlagSet{})
	v := openView(t, s, ann, inbox)
	done, err := v.Replace(ctx, 1, inbox, uploads(t, s, 0, mail("two"))[0])
	if err != nil || done.UID != 2 {
		t.Fatalf("replaced by %v: %v", done, err)
	}
	if _, err := v.Replace(ctx, 1, inbox, uploads(t, s, 0, mail("three"))[0]); !errors.Is(err, store.ErrNoMessage) {
		t.Errorf("replacing what is gone: %v", err)
	}
	if _, err := v.Replace(ctx, 2, box(ann, "none"), uploads(t, s, 0, mail("three"))[0]); !errors.Is(err, store.ErrNoMailbox) {
		t.Errorf("into no mailbox: %v", err)
	}
	if _, err := v.Replace(ctx, 2, box(ann, "Drafts"), uploads(t, s, 0, mail("three"))[0]); err != nil {
		t.Error(err)
	}
	if _, err := v.Refresh(ctx, false); err != nil {
		t.Fatal(err)
	}
	_, drafts, err := s.Mailbox(ctx, ann, box(ann, "Drafts"))
	if err != nil || v.Len() != 0 || drafts.Exists != 1 {
		t.Errorf("%d left, %d in Drafts: %v", v.Len(), drafts.Exists, err)
	}
}
