package store_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"tripost/store"
	"tripost/store/engine"
	"tripost/store/storetest"
)

// TestWorkedExample does what docs/storage.md describes and compares every key
// and value with what is printed there. A summary's value belongs to the
// message package and is left out.
func TestWorkedExample(t *testing.T) {
	s := storetest.Open(t, t.TempDir(), store.Options{
		Undelete: 14 * 24 * time.Hour,
		Now:      func() time.Time { return time.Unix(1_800_000_000, 0) },
	})
	ann := newAccount(t, s, "ann")
	inbox := box(ann, "INBOX")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(s.Create(ctx, ann, box(ann, "a/b"), store.CreateOptions{}))
	must(s.Subscribe(ctx, ann.Account, "a/b", true))
	must(s.SetACL(ctx, ann, inbox, store.ACLEntry{ID: "anyone", Rights: store.RightLookup | store.RightRead}, store.RightsReplace))
	first := uploads(t, s, 0, mail("one"))
	first[0].Flags, first[0].UniqueID = store.FlagSet{}, "old-1"
	_, err := s.AppendAll(ctx, ann, inbox, first)
	must(err)
	appendTo(t, s, ann, inbox, mail("two"), store.FlagSet{})
	v := openView(t, s, ann, inbox)
	_, _, err = v.SetFlags(ctx, span(1, 1), store.FlagsAdd, store.FlagSet{System: store.FlagSeen, Keywords: []string{"work"}}, 0)
	must(err)
	_, err = v.Expunge(ctx, span(2, 2), true)
	must(err)

	var got strings.Builder
	must(s.Engine().View(ctx, func(r engine.Reader) error {
		for item, err := range r.Range([]byte{1}, nil) {
			if err != nil {
				return err
			}
			value := fmt.Sprintf("%x", item.Value)
			if item.Key[0] == 'P' {
				value = "..."
			}
			fmt.Fprintf(&got, "%x = %s\n", item.Key, value)
		}
		return nil
	}))
	doc, err := os.ReadFile("../docs/storage.md")
	must(err)
	var want strings.Builder
	for line := range strings.Lines(string(doc)) {
		// The lines of the example: hexadecimal, then a comment.
		if text, _, _ := strings.Cut(line, "#"); strings.Contains(text, " = ") && strings.HasPrefix(line, "    ") {
			want.WriteString(strings.TrimSpace(text) + "\n")
		}
	}
	equal(t, "the example in docs/storage.md", got.String(), want.String())
}
