package accounts

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"tripost/store"
)

// Policy holds the settings that an account may leave to its domain, and a
// domain to the server. The zero value leaves all of them.
type Policy struct {
	// SecureMethodRequired refuses an account's password, and tokens, where they
	// come without TLS, even where AuthOptions.Cleartext lets them in.
	SecureMethodRequired Choice
	// POPExpire is after how many days in INBOX or another mailbox of the
	// account a message that was read is removed at the end of a POP session;
	// 0: never. At most 36,500.
	POPExpire Setting[int]
	// POPLoginDelay is how long an account has to wait from one POP sign-in to
	// the next, in whole seconds; 0: not at all. At most a day.
	POPLoginDelay Setting[time.Duration]
	// POPHold says when a POP session has removed so much that the owner of the
	// mailbox is told.
	POPHold Setting[Hold]
	// QuotaAlert is the share of its quota, in percent, from which on an account
	// is told; 0: never. At most 100.
	QuotaAlert Setting[int]
	// DMARC is the most that is done with a message of which the domain in From
	// says that it is not its own, as far as that domain asks for it.
	DMARC Setting[Handling]
	// Spam is what is done with a message that is called unwanted.
	Spam Setting[Handling]
	// SendAs are further addresses that may be sent as, besides those that lead to
	// the account: comma-separated addresses, "@domain" for all of one, or "*" for
	// any; empty: none.
	SendAs Setting[string]
	// MaxOctets and MaxMessages are what an account may keep; 0: no limit.
	MaxOctets   Setting[int64]
	MaxMessages Setting[int64]
	// MailToAll lets an account get mail that was sent to all@ its domain; it
	// does where nothing says otherwise.
	MailToAll Setting[bool]
	// Services are what accounts may do; all where nothing says otherwise. See
	// [Names.Services] for those that are on.
	Services Setting[Service]
	// IMAPHide are capabilities that IMAP clients are not told of.
	IMAPHide Setting[Hidden]
}

// Hold is a share of a mailbox that is not to vanish without notice. The zero
// value is none.
type Hold struct {
	Messages int // of a mailbox with more than so many
	Percent  int // more than so many of a hundred; 1 to 99, 0 turns it off
}

// Bounds of the settings.
const (
	maxExpire     = 36_500
	maxLoginDelay = 24 * time.Hour
	maxHold       = 1<<31 - 1
	maxQuota      = 1 << 62
)

// over returns what counts where above is the policy of the next one up.
func (p Policy) over(above Policy) Policy {
	return Policy{
		SecureMethodRequired: cmp.Or(p.SecureMethodRequired, above.SecureMethodRequired),
		POPExpire:            p.POPExpire.over(above.POPExpire),
		POPLoginDelay:        p.POPLoginDelay.over(above.POPLoginDelay),
		POPHold:              p.POPHold.over(above.POPHold),
		QuotaAlert:           p.QuotaAlert.over(above.QuotaAlert),
		DMARC:                p.DMARC.over(above.DMARC),
		Spam:                 p.Spam.over(above.Spam),
		SendAs:               p.SendAs.over(above.SendAs),
		MaxOctets:            p.MaxOctets.over(above.MaxOctets),
		MaxMessages:          p.MaxMessages.over(above.MaxMessages),
		MailToAll:            p.MailToAll.over(above.MailToAll),
		Services:             p.Services.over(above.Services),
		IMAPHide:             p.IMAPHide.over(above.IMAPHide),
	}
}

// check refuses values out of their range, with ErrBadValue.
func (p Policy) check() error {
	if n := p.POPExpire.value; n < 0 || n > maxExpire {
		return fmt.Errorf("pop_expire: %d days: %w: at most %d", n, ErrBadValue, maxExpire)
	}
	if d := p.POPLoginDelay.value; d < 0 || d > maxLoginDelay || d%time.Second != 0 {
		return fmt.Errorf("pop_login_delay: %v: %w: whole seconds, at most a day", d, ErrBadValue)
	}
	if h := p.POPHold.value; h.Messages < 0 || h.Messages > maxHold || h.Percent < 0 || h.Percent > 99 {
		return fmt.Errorf("pop_hold: %d:%d: %w: messages, and a percentage of 1 to 99", h.Messages, h.Percent, ErrBadValue)
	}
	if n := p.QuotaAlert.value; n < 0 || n > 100 {
		return fmt.Errorf("quota_alert: %d%%: %w: at most 100", n, ErrBadValue)
	}
	for _, s := range []Setting[Handling]{p.DMARC, p.Spam} {
		if h, set := s.Get(); set && (h < Mark || h > Refuse) {
			return fmt.Errorf("handling %d: %w", h, ErrBadValue)
		}
	}
	return errors.Join(checkQuota("quota", p.MaxOctets.value), checkQuota("quota_messages", p.MaxMessages.value), p.IMAPHide.value.check())
}

// policySetting is how one setting is named and written.
type policySetting struct {
	name  string
	parse func(p *Policy, value string) error
	text  func(p *Policy) string // "" where it is left to the next one up
}

// policySettings returns the table of them.
func policySettings() []policySetting {
	return []policySetting{
		{"services", parseServices, servicesText},
		{"secure_method_required", parseSecureMethod, secureMethodText},
		settingOf("pop_expire", func(p *Policy) *Setting[int] { return &p.POPExpire }, parseDays, daysText),
		settingOf("pop_login_delay", func(p *Policy) *Setting[time.Duration] { return &p.POPLoginDelay }, parseDelay, delayText),
		settingOf("pop_hold", func(p *Policy) *Setting[Hold] { return &p.POPHold }, parseHold, Hold.String),
		settingOf("quota_alert", func(p *Policy) *Setting[int] { return &p.QuotaAlert }, parsePercent, percentText),
		handlingOf("dmarc", func(p *Policy) *Setting[Handling] { return &p.DMARC }),
		settingOf("send_as", func(p *Policy) *Setting[string] { return &p.SendAs }, parseSendAs, func(s string) string { return s }),
		handlingOf("spam", func(p *Policy) *Setting[Handling] { return &p.Spam }),
		settingOf("quota", func(p *Policy) *Setting[int64] { return &p.MaxOctets }, ParseSize, FormatSize),
		settingOf("quota_messages", func(p *Policy) *Setting[int64] { return &p.MaxMessages }, ParseCount, countText),
		settingOf("mail_to_all", func(p *Policy) *Setting[bool] { return &p.MailToAll }, parseOn, onText),
		settingOf("imap_hide", func(p *Policy) *Setting[Hidden] { return &p.IMAPHide }, ParseHidden, hiddenText),
	}
}

// settingOf makes the line of a [Setting]. "off", "never", "none" and "0" are its
// zero value, which is shown as "off".
func settingOf[T comparable](name string, in func(*Policy) *Setting[T], parse func(string) (T, error), text func(T) string) policySetting {
	var zero T
	return policySetting{
		name: name,
		parse: func(p *Policy, value string) (err error) {
			switch value {
			case "default":
				*in(p) = Setting[T]{}
			case "off", "never", "none", "no", "0":
				*in(p) = Set(zero)
			default:
				var v T
				v, err = parse(value)
				*in(p) = Set(v)
			}
			return err
		},
		text: func(p *Policy) string {
			switch v, set := in(p).Get(); {
			case !set:
				return ""
			case v == zero:
				return "off"
			default:
				return text(v)
			}
		},
	}
}

// PolicyNames lists the names of the settings in the order in which they are
// shown.
func PolicyNames() []string {
	var names []string
	for _, s := range policySettings() {
		names = append(names, s.name)
	}
	return names
}

// Change sets one setting by its name to a value as it is typed: "default"
// leaves it to the next one up. known is false when no setting has the name.
// ErrBadValue.
func (p *Policy) Change(name, value string) (known bool, err error) {
	for _, s := range policySettings() {
		if s.name != name {
			continue
		}
		changed := *p
		if err := s.parse(&changed, strings.ToLower(strings.TrimSpace(value))); err != nil {
			return true, fmt.Errorf("%s: %w", name, err)
		}
		if err := changed.check(); err != nil {
			return true, err
		}
		*p = changed
		return true, nil
	}
	return false, nil
}

// Text returns a setting as it is typed, "" where it is left to the next one up.
func (p *Policy) Text(name string) string {
	for _, s := range policySettings() {
		if s.name == name {
			return s.text(p)
		}
	}
	return ""
}

func parseDays(s string) (int, error) {
	n, err := strconv.Atoi(strings.TrimSuffix(s, "d"))
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%q: %w: use days such as 30d, off or default", clip(s), ErrBadValue)
	}
	return n, nil
}

func daysText(n int) string { return strconv.Itoa(n) + "d" }

func parseDelay(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q: %w: use a duration such as 90s or 15m, off or default", clip(s), ErrBadValue)
	}
	return d, nil
}

// delayText leaves out the units that are zero at the end: "15m" for "15m0s".
func delayText(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func parseHold(s string) (Hold, error) {
	messages, percent, found := strings.Cut(s, ":")
	m, err := strconv.Atoi(messages)
	n, err2 := strconv.Atoi(strings.TrimSuffix(percent, "%"))
	if !found || err != nil || err2 != nil || n < 1 {
		return Hold{}, fmt.Errorf("%q: %w: use MESSAGES:PERCENT such as 1000:50, off or default", clip(s), ErrBadValue)
	}
	return Hold{m, n}, nil
}

// String returns "1000:50", or "off".
func (h Hold) String() string {
	if h.Percent == 0 {
		return "off"
	}
	return fmt.Sprintf("%d:%d", h.Messages, h.Percent)
}

func parsePercent(s string) (int, error) {
	n, err := strconv.Atoi(strings.TrimSuffix(s, "%"))
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%q: %w: use a percentage such as 90, off or default", clip(s), ErrBadValue)
	}
	return n, nil
}

// ParseCount reads a number that is not below zero. ErrBadValue.
func ParseCount(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%q: %w: use a number such as 10000, off or default", clip(s), ErrBadValue)
	}
	return n, nil
}

func countText(n int64) string { return strconv.FormatInt(n, 10) }

// parseOn reads what is not off: see settingOf.
func parseOn(s string) (bool, error) {
	c, err := ParseChoice(s)
	return c == On, err
}

func onText(bool) string { return "on" }

func percentText(n int) string { return strconv.Itoa(n) + "%" }

func parseSecureMethod(p *Policy, value string) (err error) {
	p.SecureMethodRequired, err = ParseChoice(value)
	return err
}

func secureMethodText(p *Policy) string {
	if p.SecureMethodRequired == Default {
		return ""
	}
	return p.SecureMethodRequired.String()
}

func parseServices(p *Policy, value string) error {
	if value == "default" {
		p.Services = Setting[Service]{}
		return nil
	}
	set, err := ParseServices(value)
	p.Services = Set(set)
	return err
}

func servicesText(p *Policy) string {
	set, made := p.Services.Get()
	if !made {
		return ""
	}
	return set.String()
}

// Policy returns what counts for an account: its own settings over those of its
// domain over Options.Server. ErrNoAccount.
func (d *Directory) Policy(ctx context.Context, id store.AccountID) (Policy, error) {
	var p Policy
	err := d.View(ctx, func(n *Names) (err error) {
		p, err = n.Policy(id)
		return err
	})
	return p, err
}

// Policy is [Directory.Policy] in this state.
func (n *Names) Policy(id store.AccountID) (Policy, error) {
	acct, err := n.AccountByID(id)
	if err != nil {
		return Policy{}, err
	}
	dom, err := n.Domain(acct.Domain)
	if err != nil {
		return Policy{}, err
	}
	return acct.Policy.over(dom.Policy).over(*n.server), nil
}

// ServerPolicy returns Options.Server.
func (d *Directory) ServerPolicy() Policy { return d.server }
