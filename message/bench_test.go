package message

import (
	"bytes"
	"strings"
	"testing"
)

// realMails are mails of about 4 KB from the corpus.
func realMails(b *testing.B) [][]byte {
	var mails [][]byte
	for _, f := range corpus(b) {
		if strings.HasPrefix(f.name, "spamassassin-ham") && len(f.text) > 3800 && len(f.text) < 4400 {
			mails = append(mails, f.text)
		}
	}
	return mails
}

// BenchmarkScannerMail scans real mails of 4 KB, digest included.
func BenchmarkScannerMail(b *testing.B) {
	mails := realMails(b)
	total := 0
	for _, m := range mails {
		total += len(m)
	}
	b.SetBytes(int64(total / len(mails)))
	b.ReportAllocs()
	s := NewScanner(Limits{})
	for i := 0; b.Loop(); i++ {
		s.Reset()
		s.Write(mails[i%len(mails)])
		s.Finish()
	}
}

// BenchmarkSummaryAppend encodes the summary of a real mail.
func BenchmarkSummaryAppend(b *testing.B) {
	s := scan(Limits{}, realMails(b)[0])
	b.ReportAllocs()
	var buf []byte
	for b.Loop() {
		buf = s.Append(buf[:0])
	}
	b.ReportMetric(float64(len(buf)), "octets/record")
}

// BenchmarkScannerText scans plain text, 64 KiB a write.
func BenchmarkScannerText(b *testing.B) {
	line := "The quick brown fox jumps over the lazy dog, and then does so once more.\r\n"
	benchmarkBody(b, "Subject: text\r\n\r\n", strings.Repeat(line, 1<<16/len(line)))
}

// BenchmarkScannerAttachment scans base64 inside a multipart, 64 KiB a write.
func BenchmarkScannerAttachment(b *testing.B) {
	line := strings.Repeat("QUJD", 19) + "\r\n"
	benchmarkBody(b, "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n", strings.Repeat(line, 1<<16/len(line)))
}

func benchmarkBody(b *testing.B, head, piece string) {
	s := NewScanner(Limits{})
	s.Write([]byte(head))
	p := []byte(piece)
	b.SetBytes(int64(len(p)))
	b.ReportAllocs()
	for b.Loop() {
		s.Write(p)
	}
}

// BenchmarkRecord reads what FETCH ENVELOPE and BODYSTRUCTURE need.
func BenchmarkRecord(b *testing.B) {
	r := Record(scan(Limits{}, realMails(b)[0]).Append(nil))
	n := 0
	b.Run("Envelope", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			n += len(r.Envelope())
		}
	})
	b.Run("BodyStructure", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			n += len(r.BodyStructure())
		}
	})
	b.Run("Subject", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			n += len(r.Subject())
		}
	})
	b.Run("Valid", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if !r.Valid() {
				b.Fatal("not valid")
			}
		}
	})
	b.Run("Size", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			n += int(r.Size())
		}
	})
	b.Run("Part", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, ok := r.Part([]uint16{1}, false); !ok {
				b.Fatal("no part 1")
			}
		}
	})
}

// BenchmarkDecodeText decodes quoted-printable text in Latin-1.
func BenchmarkDecodeText(b *testing.B) {
	text := bytes.Repeat([]byte("gr=FC=DFe aus dem Norden, wo die Sonne selten scheint und wenn, dann s=E4um=\r\nig\r\n"), 800)
	b.SetBytes(int64(len(text)))
	buf := make([]byte, 8<<10)
	for b.Loop() {
		r := DecodeText(bytes.NewReader(text), "quoted-printable", "iso-8859-1")
		for {
			if _, err := r.Read(buf); err != nil {
				break
			}
		}
	}
}
