package service

import (
	"yizhan/cloud/internal/label"
	"yizhan/cloud/internal/person"
)

// labels makes the desk that prints labels, which sees people masked only.
func (s *Service) labels() *label.Desk {
	return label.New(label.Config{
		Store: s.store, Registry: s.registry, Publish: s.hub.Publish, Now: s.env.Now,
		Masked: func(sealed []byte) (name, phone string, err error) {
			r, err := s.persons.Unseal(sealed)
			return person.MaskName(r.Name), person.MaskPhone(r.Phone), err
		},
	})
}
