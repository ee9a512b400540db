package alerts

import "tripost/store"

// Watch calls wake after alerts were posted that may concern an account; it may
// call it without need. wake must not block, and must call neither Watch nor
// stop. After stop has returned, wake is not called again.
func (a *Alerts) Watch(id store.AccountID, wake func()) (stop func()) {
	stopWide := a.store.Watch(store.SpaceAlerts, []byte{keyBell}, wake)
	stopOwn := a.store.Watch(store.SpaceAlerts, shownKey(id), wake)
	return func() {
		stopWide()
		stopOwn()
	}
}
