package admin

import (
	"context"

	"tripost/history"
	"tripost/store"
)

// ExplainRequest names a message by its Message-ID or its queue id.
type ExplainRequest struct {
	ID string `json:"id"`
}

// Explain tells what became of a message, or of several with one Message-ID,
// also after they are gone.
func (a *API) Explain(ctx context.Context, q ExplainRequest) ([]history.Story, error) {
	return a.History.Explain(ctx, q.ID, func(id store.AccountID) string {
		acc, err := a.Directory.AccountByID(ctx, id)
		if err != nil { // removed, or it cannot be read now: its number is told
			return ""
		}
		return acc.Address()
	})
}
