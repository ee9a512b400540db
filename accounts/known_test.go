package accounts

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"tripost/store/storetest"
)

// TestKnownDomains asks again and again, so that what is kept in memory answers,
// and changes what was answered: the next answer is of the change.
func TestKnownDomains(t *testing.T) {
	d := New(storetest.New(t), Options{})
	ask := func(name, want string) {
		t.Helper()
		for range 3 {
			dom, err := d.Domain(t.Context(), name)
			got := fmt.Sprint(dom.Name, " ", dom.Main, " ", dom.Services.Or(AllServices))
			if err != nil {
				got = "none"
				if !errors.Is(err, ErrNoDomain) {
					t.Fatal(err)
				}
			}
			if got != want {
				t.Fatalf("domain %q is %s, want %s", name, got, want)
			}
		}
	}
	set := func(name string, change func(*Domain)) {
		t.Helper()
		if _, err := d.SetDomain(t.Context(), name, func(dom *Domain) error { change(dom); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	add := func(name string) {
		t.Helper()
		if _, err := d.AddDomain(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	ask("", "none")
	add("one.test")
	add("two.test")
	ask("", "one.test true all")
	ask("two.test", "two.test false all")
	ask("alias.test", "none")
	set("two.test", func(dom *Domain) { dom.Services, dom.Aliases = Set(POP), []string{"alias.test"} })
	ask("two.test", "two.test false pop")
	ask("alias.test", "two.test false pop")
	set("two.test", func(dom *Domain) { dom.Main = true })
	ask("", "two.test true pop")
	ask("one.test", "one.test false all")
	ask("alias.test", "two.test true pop")
	set("two.test", func(dom *Domain) { dom.Aliases = nil })
	ask("alias.test", "none")
	if err := d.RemoveDomain(t.Context(), "one.test"); err != nil {
		t.Fatal(err)
	}
	ask("one.test", "none")
	add("one.test")
	ask("one.test", "one.test false all")
}

// TestKnownDomainsTogether has many ask while one changes: whoever has changed
// something is answered it.
func TestKnownDomainsTogether(t *testing.T) {
	d := New(storetest.New(t), Options{})
	if _, err := d.AddDomain(t.Context(), "one.test"); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for ctx.Err() == nil {
				if _, err := d.Domain(t.Context(), ""); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for i := range 100 {
		want := fmt.Sprint("a", i, "@elsewhere.test")
		_, err := d.SetDomain(t.Context(), "one.test", func(dom *Domain) error { dom.Unknown = want; return nil })
		if err != nil {
			t.Error(err)
			break
		}
		if dom, err := d.Domain(t.Context(), ""); err != nil || dom.Unknown != want {
			t.Errorf("change %d: %q, %v", i, dom.Unknown, err)
			break
		}
	}
	stop()
	readers.Wait()
}

// TestKnownDomainsAreBounded keeps no more than the bound, and answers all.
func TestKnownDomainsAreBounded(t *testing.T) {
	k := known{store: storetest.New(t)}
	for i := range maxKnown + 10 {
		name := fmt.Sprint("d", i, ".test")
		for range 2 {
			k.now().put(name, knownDomain{aliasOf: name})
		}
		d, ok := k.now().get(name)
		if ok != (i < maxKnown) || ok && d.aliasOf != name {
			t.Fatalf("domain %d: %v, %v", i, d, ok)
		}
	}
	if _, ok := (knownAt{}).get("d0.test"); ok {
		t.Error("a state that nothing is known at was told something")
	}
}
