package admin

import (
	"context"

	"tripost/accounts"
)

// DoctorFinding is what was found out about one topic of a domain, as other hosts
// see it.
type DoctorFinding struct {
	Domain  string   `json:"domain"` // or an alias of it
	Topic   string   `json:"topic"`
	State   string   `json:"state"` // ok, advice or wrong
	Text    string   `json:"text"`
	Publish []string `json:"publish,omitempty"` // what the DNS should have, as lines of a zone file
}

// Examine looks at a domain and its aliases, or with an empty name at all
// domains.
func (a *API) Examine(ctx context.Context, q NameRequest) ([]DoctorFinding, error) {
	domains, err := a.Directory.Domains(ctx)
	if q.Name != "" && err == nil {
		domains = make([]accounts.Domain, 1)
		domains[0], err = a.Directory.Domain(ctx, q.Name)
	}
	if err != nil {
		return nil, err
	}
	list := []DoctorFinding{}
	for _, d := range domains {
		for _, name := range append([]string{d.Name}, d.Aliases...) {
			for _, f := range a.Doctor.Examine(ctx, d.Name, name) {
				list = append(list, DoctorFinding{f.Domain, f.Topic, string(f.State), f.Text, f.Publish})
			}
		}
	}
	return list, nil
}
