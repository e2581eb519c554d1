package county

import "time"

// Rating is what a recipient says of how a parcel came, once (S4-31).
type Rating struct {
	Waybill string    `json:"waybill"`
	Site    string    `json:"site"`
	Score   int       `json:"score"` // 1 to 5, 5 is best
	At      time.Time `json:"at"`
}

// RatingMean is the ratings of a site.
type RatingMean struct {
	Site string   `json:"site"`
	N    int      `json:"n"`
	Mean *float64 `json:"mean"` // null of none
}
