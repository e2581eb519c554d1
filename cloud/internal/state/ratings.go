package state

import (
	"context"
	"time"

	"yizhan/cloud/internal/county"
)

var ratingsTable = newTable("ratings", 1, "waybill, site, score n, at_ms n", "nothing")

// Rate keeps a recipient's rating; ok is false where the parcel has one already.
func (s *Store) Rate(ctx context.Context, r county.Rating) (ok bool, err error) {
	err = s.update(ctx, "rating", func(c conn) error {
		old, err := rated(ctx, c, r.Waybill)
		if ok = old == 0; err != nil || !ok {
			return err
		}
		if err := c.put(ctx, ratingsTable, [][]any{{r.Waybill, r.Site, int64(r.Score), ms(r.At)}}); err != nil {
			return err
		}
		old, err = rated(ctx, c, r.Waybill) // of two at the same time the first stays
		ok = old == r.Score
		return err
	})
	return ok, err
}

// Rated is the rating of a parcel; 0 is none.
func (s *Store) Rated(ctx context.Context, waybill string) (score int, err error) {
	score, err = rated(ctx, s.db.reader(), waybill)
	return score, classify(err)
}

func rated(ctx context.Context, c conn, waybill string) (score int, err error) {
	err = c.each(ctx, func(scan func(...any) error) error { return scan(&score) }, "select score from ratings where waybill = $1", clean(waybill))
	return score, err
}

// Ratings are the ratings of each site since a time, in the order of the sites.
func (s *Store) Ratings(ctx context.Context, since time.Time) (out []county.RatingMean, err error) {
	err = s.each(ctx, func(scan func(...any) error) error {
		var m county.RatingMean
		var n, sum int64
		if err := scan(&m.Site, &n, &sum); err != nil {
			return err
		}
		mean := float64(sum) / float64(n)
		m.N, m.Mean = int(n), &mean
		out = append(out, m)
		return nil
	}, "select site, count(*), sum(score) from ratings where at_ms >= $1 group by site order by site", ms(since))
	return out, err
}
