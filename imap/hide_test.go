package imap

import (
	"slices"
	"strings"
	"testing"
)

// TestHiddenCapabilities: what is hidden from an account is not in the list.
func TestHiddenCapabilities(t *testing.T) {
	w := newWorld(t, false)
	w.setup("hide ann compress,rights=kxte,idle")
	told := func(name string) []string {
		var words []string
		for _, f := range w.connect(name).do("CAPABILITY")[0].fields {
			words = append(words, strings.ToUpper(f.text))
		}
		return words
	}
	ann, boss := told("ann"), told("boss")
	for _, name := range []string{"COMPRESS=DEFLATE", "RIGHTS=KXTE", "IDLE"} {
		if slices.Contains(ann, name) || !slices.Contains(boss, name) {
			t.Errorf("%s is told to ann: %t, to boss: %t", name, slices.Contains(ann, name), slices.Contains(boss, name))
		}
	}
	if len(boss) != len(ann)+3 {
		t.Errorf("ann is told %v, boss %v", ann, boss)
	}
}

// TestCheckHidden: a name that would hide nothing is refused.
func TestCheckHidden(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"UIDONLY", "compress", "COMPRESS=DEFLATE", "Thread", "RIGHTS=KXTE", "LITERAL+"} {
		if err := CheckHidden(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, want := range map[string]string{
		"UIDONLI": "is not a capability", "COMPRESS=ZSTD": "is not a capability", "": "is not a capability",
		"IMAP4rev2": "cannot be hidden", "starttls": "cannot be hidden",
	} {
		if err := CheckHidden(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
}
