package search

import (
	"fmt"
	"testing"

	"tripost/store"
)

// BenchmarkRun searches 10,000 messages, one in ten of which is unseen, for what is
// known of them.
func BenchmarkRun(b *testing.B) {
	w := newWorld(b)
	for i := range 10_000 {
		flags := store.FlagSeen
		if i%10 == 0 {
			flags = 0
		}
		w.deliver(fmt.Sprintf("Subject: Message number %d of the day\r\nMIME-Version: 1.0\r\n\r\n", i), 1000, flags)
	}
	v := w.open()
	o := w.options()
	o.Columns = NewColumns(1 << 20)
	for name, key := range map[string]func() *Key{
		"unseen":  func() *Key { return Negated(&Key{Kind: Flag, Flags: store.FlagSeen}) },
		"subject": func() *Key { return &Key{Kind: Field, Field: "subject", Text: "number 777"} },
		"header":  func() *Key { return &Key{Kind: Field, Field: "mime-version", Text: "x"} },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				n := 0
				must(b, New(v, &Key{Kind: And, Keys: []*Key{key()}}, o).Run(w.ctx, false, func(int) bool { n++; return true }))
			}
		})
	}
	b.Run("header, the first time", func(b *testing.B) {
		for b.Loop() {
			o.Columns = NewColumns(1 << 20)
			root := &Key{Kind: And, Keys: []*Key{{Kind: Field, Field: "mime-version", Text: "x"}}}
			must(b, New(v, root, o).Run(w.ctx, false, func(int) bool { return true }))
		}
	})
}
