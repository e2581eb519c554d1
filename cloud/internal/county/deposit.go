package county

import "time"

// Keeping is how long parcels lie in lockers, counted from the deposit. The county chooses (county.yaml, keeping).
type Keeping struct {
	Reminder   time.Duration // 24 h
	LastDay    time.Duration // 48 h
	Expire     time.Duration // 72 h: then only a courier opens the cell
	Extension  time.Duration // 24 h more for the asking
	Extensions int           // so often; 1
}

// Usual fills in what was left out.
func (k Keeping) Usual() Keeping {
	const day = 24 * time.Hour
	if k == (Keeping{}) {
		return Keeping{Reminder: day, LastDay: 2 * day, Expire: 3 * day, Extension: day, Extensions: 1}
	}
	return k
}

// Deposit is a parcel in a cell, for as long as it lies there.
type Deposit struct {
	ID       string    `json:"id"` // as its cabinet named it, or that of its evidence
	Waybill  string    `json:"waybill"`
	Locker   string    `json:"locker"`
	Cell     int       `json:"cell"`
	Since    time.Time `json:"since"`
	Until    time.Time `json:"until"`
	Extended int       `json:"extended,omitempty"` // how often
	Overdue  bool      `json:"overdue,omitempty"`  // as of the answer

	Generation int `json:"generation,omitempty"` // of the key that its codes come from; 0: not told
}

// The words of Due.What.
const (
	DueReminder = "reminder"
	DueLastDay  = "last_day"
	DueExpired  = "expired"
	DueExtended = "extended"
	DueRecoded  = "recoded" // its locker has another key: it has other codes
)

// Dues are the deadlines of a deposit after a time, the first first.
func (d *Deposit) Dues(k Keeping, after time.Time) (what []string, at []time.Time) {
	for _, x := range []struct {
		what string
		at   time.Time
	}{
		{DueReminder, d.Since.Add(k.Reminder)}, {DueLastDay, d.Until.Add(k.LastDay - k.Expire)}, {DueExpired, d.Until},
	} {
		if x.at.After(after) && !x.at.After(d.Until) {
			what, at = append(what, x.what), append(at, x.at)
		}
	}
	return what, at
}
