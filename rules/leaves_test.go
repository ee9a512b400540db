package rules

import (
	"testing"
	"time"
)

func TestLeavesNothing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text string
		want bool
	}{
		{"", false},
		{"all: forward x@client.test", true},
		{"all: discard", true},
		{"all: forward x@client.test, keep", false},
		{"all: forward x@client.test, file Archive", false},
		{"a: mark flagged\nb: forward x@client.test", true},
		{"a: if subject contains offer then forward x@client.test", false},
		{"a: if subject contains offer then discard\nb: forward x@client.test", true},
		{"a: if subject contains offer then file Offers\nb: forward x@client.test", false},
		{"a: if subject contains offer then mark seen, stop\nb: forward x@client.test", false},
		{"a: if subject contains offer then discard, stop\nb: forward x@client.test", true},
		{"a: if sender is x@client.test then keep\nb: forward x@client.test", false},
		{"b: forward x@client.test, stop\nc: keep", true},
		{"a: stop\nb: forward x@client.test", false},
		{"a: if recipient is ann@example.test then forward x@client.test", true},
		{"a: if recipient is info@example.test then forward x@client.test", false},
		{"a: if recipient is info@example.test then keep\nb: forward x@client.test", true},
	} {
		list, err := Parse(c.text)
		if err != nil {
			t.Errorf("%q: %v", c.text, err)
			continue
		}
		if got := LeavesNothing(list, "Ann@example.test", time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)); got != c.want {
			t.Errorf("%q: %v, want %v", c.text, got, c.want)
		}
	}
}

// A rule counts on its days, and its conditions all together or any of them.
func TestLeavesNothingOfARule(t *testing.T) {
	t.Parallel()
	away := []Action{{Do: Forward, Address: "x@client.test"}}
	known, unknown := Condition{Field: Recipient, Test: Is, Value: "ann@example.test"}, Condition{Field: Subject, Test: Exists}
	for _, c := range []struct {
		rule Rule
		want bool
	}{
		{Rule{Actions: away, From: "2026-03-01", Until: "2026-03-01"}, true},
		{Rule{Actions: away, From: "2026-03-02"}, false},
		{Rule{Actions: away, Until: "2026-02-28"}, false},
		{Rule{Actions: away, Conditions: []Condition{known, unknown}}, false},
		{Rule{Actions: away, Conditions: []Condition{known, unknown}, Any: true}, true},
	} {
		if got := LeavesNothing([]Rule{c.rule}, "ann@example.test", time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)); got != c.want {
			t.Errorf("%+v: %v, want %v", c.rule, got, c.want)
		}
	}
}
