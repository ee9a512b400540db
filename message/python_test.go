package message

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// pythonOpinion is what Python's email package makes of a mail.
type pythonOpinion struct {
	Types   []string
	Defects []string
	Subject *string
	To      []string
}

// askPython asks testdata/structure.py about all files.
func askPython(t *testing.T, files []corpusFile) []pythonOpinion {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not installed: no second opinion")
	}
	var names bytes.Buffer
	for _, f := range files {
		names.WriteString(filepath.Join("testdata", "mail", f.name) + "\n")
	}
	cmd := exec.Command(python, filepath.Join("testdata", "structure.py"))
	cmd.Stdin = &names
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("python3: %v\n%s", err, complaints.Bytes())
	}
	var opinions []pythonOpinion
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var o pythonOpinion
		if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
			t.Fatal(err)
		}
		opinions = append(opinions, o)
	}
	if len(opinions) != len(files) {
		t.Fatalf("%d opinions on %d mails", len(opinions), len(files))
	}
	return opinions
}

// disagreements are mails that Python reads otherwise, and what is wrong there.
var disagreements = map[string]string{
	"enmime/mail/mime-bad-content-type.raw":                     "no semicolon before the parameters",
	"enmime/mail/mime-blank-media-name.raw":                     "no semicolon before the parameters",
	"enmime/parts/ctype-invalid-characters.raw":                 "a subtype that ends with >",
	"ruby-mail/plain_emails_raw_email_with_at_display_name.eml": "a name with @ outside quotes",
	"ruby-mail/plain_emails_raw_email_multiple_from.eml":        "two addresses without a comma",
}

// TestSecondOpinion compares structure, subject and recipients with what
// Python's email package finds, in mails where that finds no defect.
func TestSecondOpinion(t *testing.T) {
	t.Parallel()
	files := corpus(t)
	compared := 0
	for i, o := range askPython(t, files) {
		f := files[i]
		if len(o.Defects) > 0 || disagreements[f.name] != "" {
			continue
		}
		compared++
		s := scan(Limits{}, f.text)
		var types []string
		for _, p := range s.Parts {
			types = append(types, p.Type)
		}
		if !slices.Equal(types, o.Types) {
			t.Errorf("%s: types %q, Python has %q", f.name, types, o.Types)
		}
		raw := o.Subject == nil || strings.Contains(*o.Subject, "\uFFFD") // Python leaves octets outside ASCII undecoded
		if !raw && len(s.Subject) < maxText && squeeze(s.Subject) != squeeze(*o.Subject) {
			t.Errorf("%s: subject %q, Python has %q", f.name, s.Subject, *o.Subject)
		}
		if to := recipients(s); o.To != nil && !slices.Equal(to, o.To) {
			t.Errorf("%s: to %q, Python has %q", f.name, to, o.To)
		}
	}
	if compared < 1200 {
		t.Errorf("only %d mails compared", compared)
	}
}

// squeeze leaves white space out of comparison.
func squeeze(s string) string { return strings.Join(strings.Fields(s), "") }

func recipients(s *Summary) []string {
	list, _ := ParseAddressList(s.To)
	var to []string
	for _, a := range list {
		to = append(to, a.Addr())
	}
	return to
}
