package accounts

import (
	"fmt"
	"testing"

	"tripost/store/storetest"
)

// What CAPA costs before sign-in does not grow with the accounts that have a
// policy of their own.
func BenchmarkStrictest(b *testing.B) {
	for _, n := range []int{1, 300} {
		b.Run(fmt.Sprintf("accounts=%d", n), func(b *testing.B) {
			d := New(storetest.New(b), Options{Password: cheap, Mailboxes: []InitialMailbox{}})
			ctx := b.Context()
			must(b)(d.AddDomain(ctx, "company.test"))
			for i := range n {
				name := fmt.Sprintf("a%d", i)
				must(b)(d.AddAccount(ctx, name, ""))
				must(b)(d.SetAccount(ctx, name, func(a *Account) error { a.POPExpire = Set(i + 1); return nil }))
			}
			b.ReportAllocs()
			for b.Loop() {
				if days, _, err := d.Strictest(ctx); days != 1 || err != nil {
					b.Fatal(days, err)
				}
			}
		})
	}
}
