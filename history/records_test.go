package history

import (
	"reflect"
	"testing"
	"time"

	"tripost/store"
)

// What is written of a message's way is read again, with and without the parts
// that records got later.
func TestOriginRoundTrip(t *testing.T) {
	t.Parallel()
	plain := Origin{
		QueueID: 7, MessageID: "<a@client.test>", At: time.UnixMicro(1).UTC(), From: "joe@client.test", Size: 10, Bodies: []store.Body{3},
		Places: []Place{{Recipient: "ann@company.test", Account: 1, Address: "ann@company.test", Mailbox: 2, Name: "INBOX", UID: 4}},
	}
	group, way, steps := plain, plain, plain
	group.Group, group.Passed = "team@company.test", []PassedOn{{"all@company.test", 8}}
	way.Places = []Place{plain.Places[0], {Recipient: "x@y.test", Host: "y.test"}}
	way.Places[0].By = "team@company.test"
	steps.Steps = []Step{{Ruled, "ann@company.test", "lists (file \"work\")", 0}, {Answered, "ann@company.test", "joe@client.test", 9}}
	for _, o := range []Origin{plain, group, way, steps} {
		b := o.encode()
		got, err := decodeOrigin(b)
		if err != nil || !reflect.DeepEqual(*got, o) {
			t.Errorf("%+v comes back as %+v, %v", o, got, err)
		}
		for i := range b { // a record that ends early must not be read beyond its end
			_, _ = decodeOrigin(b[:i])
		}
	}
	many := plain
	for range maxSteps + 1 {
		many.Steps = append(many.Steps, Step{What: LeftOut})
	}
	if got, err := decodeOrigin(many.encode()); err != nil || len(got.Steps) != maxSteps {
		t.Errorf("of too many steps: %v", err)
	}
}
