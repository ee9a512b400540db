package queue

import (
	"errors"
	"sync"
	"time"

	"tripost/store"
)

// Flow bounds what one account may send to other hosts, by whatever way it
// submits: so many recipients within a period. Zero is no bound.
type Flow struct {
	Recipients int
	Period     time.Duration // default 1 hour
}

// ErrFlow is returned when an account has sent to as many recipients elsewhere
// as [Options.Flow] allows. It is temporary.
var ErrFlow = errors.New("the account has sent as much as it may within the period")

// meterOfFlow counts recipients by account. It keeps two numbers for each
// account that has sent within two periods, in memory alone: a new process
// begins anew. The count slides: of the period before, as much counts as has not
// yet passed.
type meterOfFlow struct {
	flow Flow
	now  func() time.Time

	mu       sync.Mutex // guards what follows
	accounts map[store.AccountID]*sent
	swept    time.Time
}

// sent is what one account has sent.
type sent struct {
	since         time.Time // begin of the period
	count, before int       // within it, and within the one before
}

func newMeterOfFlow(f Flow, now func() time.Time) *meterOfFlow {
	if f.Period <= 0 {
		f.Period = time.Hour
	}
	return &meterOfFlow{flow: f, now: now, accounts: make(map[store.AccountID]*sent)}
}

// take counts recipients of an account, or returns ErrFlow and counts nothing.
func (m *meterOfFlow) take(id store.AccountID, recipients int) error {
	if m.flow.Recipients <= 0 || recipients == 0 {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	m.sweep(now)
	s := m.accounts[id]
	if s == nil {
		s = &sent{since: now}
		m.accounts[id] = s
	}
	s.advance(now, m.flow.Period)
	left := m.flow.Period - now.Sub(s.since)
	slid := int(float64(s.before) * float64(left) / float64(m.flow.Period))
	if slid+s.count+recipients > m.flow.Recipients {
		return ErrFlow
	}
	s.count += recipients
	return nil
}

// back takes back what was counted for a message that was not taken after all.
func (m *meterOfFlow) back(id store.AccountID, recipients int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.accounts[id]; s != nil {
		s.count = max(s.count-recipients, 0)
	}
}

// advance begins a new period when the present one is over.
func (s *sent) advance(now time.Time, period time.Duration) {
	passed := now.Sub(s.since) / period
	switch {
	case passed >= 2, passed < 0:
		s.before, s.count, s.since = 0, 0, now
	case passed == 1:
		s.before, s.count, s.since = s.count, 0, s.since.Add(period)
	}
}

// sweep forgets accounts that have not sent for long, once in a period.
func (m *meterOfFlow) sweep(now time.Time) {
	if d := now.Sub(m.swept); d >= 0 && d < m.flow.Period {
		return
	}
	m.swept = now
	for id, s := range m.accounts {
		if now.Sub(s.since) >= 2*m.flow.Period {
			delete(m.accounts, id)
		}
	}
}
