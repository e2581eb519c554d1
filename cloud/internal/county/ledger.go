package county

import (
	"time"

	"yizhan/broker/frame"
)

// Ledger accounts for every record that a gateway made: of each lane of each epoch
// produced = committed + spooled + dropped + unexplained.
type Ledger struct {
	Gateway string     `json:"gateway"`
	Said    *time.Time `json:"said,omitempty" doc:"when the board last said what it holds"`
	Account
	Refused uint64        `json:"refused" doc:"inputs of this gateway kept in quarantine, those that never were a record included"`
	Lanes   []LaneAccount `json:"lanes" doc:"those with unexplained records first, then the newest epoch first"`
	Omitted int           `json:"omitted" doc:"lanes that count above and are not listed"`
}

// Account is where records are, in numbers.
type Account struct {
	Produced    uint64 `json:"produced" doc:"records that the board said it made, in a hello or when it opened the next epoch"`
	Committed   uint64 `json:"committed" doc:"of them committed here"`
	Spooled     uint64 `json:"spooled" doc:"of them still on the board, as its last hello says"`
	Dropped     uint64 `json:"dropped" doc:"of them dropped by the board, with a tombstone that says why"`
	Unexplained uint64 `json:"unexplained" doc:"the rest: no account covers them"`
	Newer       uint64 `json:"newer" doc:"committed and made since the board last said how many there are"`
	Quarantined uint64 `json:"quarantined" doc:"of those committed, kept in quarantine instead of being applied"`
}

// LaneAccount is the account of one lane of one epoch.
type LaneAccount struct {
	Epoch string `json:"epoch"`
	Lane  string `json:"lane" enum:"command,custody,condition,track"`
	Known bool   `json:"known" doc:"false while the board has not said how many records it made: produced is unknown then"`
	Account
	Ranges []frame.Range `json:"ranges" doc:"committed seqs, the newest 100 ranges"`
	Holes  []frame.Range `json:"holes" doc:"unexplained seqs, the oldest 100 ranges"`
	Drops  []Drop        `json:"drops" doc:"what tombstones say"`
}

// Drop is what a board dropped for one reason.
type Drop struct {
	Reason     string `json:"reason"`
	Tombstones uint64 `json:"tombstones"`
	Count      uint64 `json:"count" doc:"records or readings, as the tombstones count them"`
}

// Add adds another account to a.
func (a *Account) Add(o Account) {
	a.Produced += o.Produced
	a.Committed += o.Committed
	a.Spooled += o.Spooled
	a.Dropped += o.Dropped
	a.Unexplained += o.Unexplained
	a.Newer += o.Newer
	a.Quarantined += o.Quarantined
}
