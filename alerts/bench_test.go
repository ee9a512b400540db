package alerts

import (
	"fmt"
	"testing"

	"tripost/store/storetest"
)

// What a sign-in pays when nothing is due: of an account that is too new for
// the alerts that there are, which is the dearest.
func BenchmarkTakeNone(b *testing.B) {
	for _, wide := range []int{0, 1, 100} {
		b.Run(fmt.Sprintf("posted=%d", wide), func(b *testing.B) {
			w := furnish(b, storetest.New(b), Options{})
			for range wide {
				w.post("server", "text")
			}
			dora := w.add("dora")
			b.ReportAllocs()
			for b.Loop() {
				if _, _, ok, err := w.Take(b.Context(), dora); ok || err != nil {
					b.Fatal(ok, err)
				}
			}
		})
	}
}
