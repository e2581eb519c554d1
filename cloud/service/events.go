package service

import (
	"context"
	"fmt"
	"io"
	"time"

	"yizhan/cloud/internal/epcis"
	"yizhan/cloud/internal/history"
)

// openEvents opens the county's EPCIS repository.
func (s *Service) openEvents() error {
	names, err := epcis.NewNames(s.registry.GS1.Base, s.registry.Sites)
	if err != nil {
		return err
	}
	maker, err := epcis.NewMaker(s.registry, names, climates{s.history})
	if err != nil {
		return err
	}
	s.maker = maker
	s.events = epcis.New(epcis.Config{Store: s.store, Maker: maker, Wake: s.store.Wake, NewID: s.newCapture, Now: s.env.Now, Log: s.env.Log})
	return nil
}

func (s *Service) newCapture() string {
	b := make([]byte, 12)
	_, _ = io.ReadFull(s.env.Rand, b)
	return fmt.Sprintf("cap-%x", b)
}

// climates shows a history as the EPCIS repository asks for it.
type climates struct{ *history.History }

// Climate implements epcis.Climate.
func (c climates) Climate(ctx context.Context, coldbox string, from, to time.Time) ([]epcis.Sample, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	samples, err := c.History.Climate(ctx, coldbox, from, to, 600)
	out := make([]epcis.Sample, len(samples))
	for i, x := range samples {
		out[i] = epcis.Sample{At: x.At, TemperatureC: x.TemperatureC, HumidityPct: x.HumidityPct}
	}
	return out, err
}
