package pop

import (
	"context"
	"strconv"
)

// stat tells the number of messages that are not marked deleted and their
// octets. It costs the same however large the mailbox is.
//
// RFC 1939 section 5, STAT.
func (s *session) stat(context.Context, string) error {
	d := s.drop
	return s.data("%d %d", d.size()-d.marked, d.octets-d.markedOctets)
}

// list tells the size of one message, or of each that is not marked deleted: the
// octets that RETR sends, without stuffed dots, and of the converted message where
// that is sent. Where a message does not end with
// CRLF, that is sent and counted all the same.
//
// RFC 1939 section 5, LIST.
func (s *session) list(ctx context.Context, arg string) error {
	return s.listing(ctx, arg, sayScanListing, func(b []byte, n int) []byte {
		return strconv.AppendInt(b, s.drop.sentSize(n), 10)
	})
}

// uidl tells the unique-id of one message, or of each that is not marked
// deleted: see [store.View.AppendUniqueID]. They stay the same for as long as the
// mailbox exists.
//
// RFC 1939 section 7, UIDL.
func (s *session) uidl(ctx context.Context, arg string) error {
	return s.listing(ctx, arg, sayUIDListing, func(b []byte, n int) []byte {
		return s.drop.view.AppendUniqueID(b, s.drop.message(n).UID)
	})
}

// listing answers LIST and UIDL: of message arg, or of all when arg is empty.
// appendValue writes what stands after the message-number.
func (s *session) listing(ctx context.Context, arg string, title phrase, appendValue func([]byte, int) []byte) error {
	d := s.drop
	if err := d.load(ctx); err != nil {
		return s.refuse(english[title], err)
	}
	if arg != "" {
		n, err := d.number(arg)
		if err != nil {
			return s.refuse(english[title], err)
		}
		return s.data("%d %s", n, appendValue(nil, n))
	}
	s.ok(title)
	b := s.conn.Out()
	for n := 1; n <= d.size(); n++ {
		if d.isMarked(n) {
			continue
		}
		b = strconv.AppendInt(b, int64(n), 10)
		b = append(b, ' ')
		b = appendValue(b, n)
		b = append(b, "\r\n"...)
		if len(b) >= listingChunk {
			s.conn.Done(b)
			b = s.conn.Out()
		}
	}
	s.conn.Done(append(b, ".\r\n"...))
	return nil
}

// listingChunk is how many octets of a listing are put together before they are
// handed to the connection.
const listingChunk = 32 << 10
