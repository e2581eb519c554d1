package service

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"yizhan/broker/pickup"
	"yizhan/cloud/internal/api"
	"yizhan/cloud/internal/ca"
	"yizhan/cloud/internal/county"
	"yizhan/cloud/internal/county/channels"
	"yizhan/cloud/internal/notify"
	"yizhan/cloud/internal/page"
	"yizhan/cloud/internal/person"
	"yizhan/cloud/internal/state"
)

// openNotices makes what tells recipients. It looks at the store before gateways write to it.
func (s *Service) openNotices(ctx context.Context) error {
	key, err := s.keys()
	if err != nil {
		return err
	}
	code := func(locker, deposit string, generation, n int) string {
		if k := key(locker, deposit, generation); k != nil {
			return pickup.Code(k, deposit, n)
		}
		return ""
	}
	links := s.persons.LinkKey()
	_, secure := s.hosts()
	s.page = page.New(page.Options{
		My:      &page.My{Visits: visits{s.store, s.env.Now}, Hash: s.persons.PhoneHash, Key: page.MyKey(links), Secure: secure},
		Changed: func(c []county.Change) { s.hub.Publish(c) },
		Store:   s.store, Keeping: keeping{s.store, s.registry.Keeping.Extensions}, Tokens: page.NewTokens(links), Code: code, Registry: s.registry, Now: s.env.Now, Log: s.env.Log,
		Ticket: func(locker, deposit string, generation int) string {
			if k := key(locker, deposit, generation); k != nil {
				return pickup.Ticket(k, deposit, 0)
			}
			return ""
		},
	})
	set := s.cfg.Notify
	set.Marker = cmp.Or(set.Marker, filepath.Join(filepath.Dir(s.cfg.TokenFile), "notice.mark"))
	if s.cfg.Demo && len(set.Channels) == 0 { // a demonstration shows its messages, at any hour
		set.Channels = []channels.Channel{{Name: "outbox", Kind: "outbox"}}
	}
	s.notifier, err = notify.New(notify.Options{
		Settings: set, Registry: s.registry, Store: s.store, People: s.people(), Modem: s.desk,
		Code:   func(locker, deposit string, generation int) string { return code(locker, deposit, generation, 0) },
		SignIn: func(nonce string) string { return page.SignInCode(page.MyKey(links), nonce) },
		Link:   func(waybill string) string { return s.publicURL() + s.page.Link(waybill) },
		Report: s.publicURL() + notify.HookPath, NewID: s.newID, Now: s.env.Now, Log: s.env.Log,
	})
	if err != nil {
		return err
	}
	return s.notifier.Open(ctx)
}

// keys finds the key of a deposit's codes, where the lockers' master secret is at hand: a cabinet's deposits have one, those that
// a bare lock board told of don't. It is the key of the generation that the deposit was told with; without one that of the configuration.
func (s *Service) keys() (func(locker, deposit string, generation int) []byte, error) {
	file := cmp.Or(s.cfg.Pickup.MasterFile, filepath.Join(filepath.Dir(s.cfg.MQTT.CA), ca.MasterFile))
	master, err := ca.Master(file)
	if errors.Is(err, fs.ErrNotExist) && s.cfg.Pickup.MasterFile == "" {
		return func(string, string, int) []byte { return nil }, nil
	}
	if err != nil {
		return nil, err
	}
	return func(locker, deposit string, generation int) []byte {
		if !strings.HasPrefix(deposit, "d-") || !pickup.ValidDeposit(deposit) {
			return nil
		}
		return pickup.LockerKey(master, locker, cmp.Or(generation, s.cfg.Pickup.Generations[locker], 1))
	}, nil
}

// publicURL is the URL that others reach the service by.
func (s *Service) publicURL() string {
	if s.cfg.Public != "" {
		return strings.TrimSuffix(s.cfg.Public, "/")
	}
	if s.cert != nil {
		return "https://" + s.http.Addr().String()
	}
	return "http://" + s.http.Addr().String()
}

// telling is what the API's routes of notices are made of.
func (s *Service) telling() *api.Telling {
	return &api.Telling{Notices: s.store, Teller: s.notifier, Addressees: s.people(), Cannot: notify.ErrCannot, Link: s.page.Link}
}

func (s *Service) people() people { return people{s.store, s.persons} }

// keeping shows deposits as the page asks for them.
type keeping struct {
	*state.Store
	extensions int
}

// Kept implements page.Keeping.
func (k keeping) Kept(ctx context.Context, id string) (page.Kept, error) {
	d, ok, err := k.Deposit(ctx, id)
	if err != nil || !ok {
		return page.Kept{}, err
	}
	return page.Kept{Until: d.Until, More: !d.Overdue && d.Extended < k.extensions, Generation: d.Generation}, nil
}

// visits keeps sign-ins as the page asks for them, and has their codes sent as notices.
type visits struct {
	*state.Store
	now func() time.Time
}

// AskSignIn implements page.Visits.
func (v visits) AskSignIn(ctx context.Context, phone, nonce string) error {
	return v.Store.AskSignIn(ctx, phone, nonce, func(w county.Waybill, until time.Time) county.Notice { return notify.SignIn(w, nonce, v.now(), until) })
}

// people opens what the store keeps sealed.
type people struct {
	store   *state.Store
	persons *person.Keeper
}

// Recipient implements notify.People. A recipient that can't be opened is one that nobody knows.
func (p people) Recipient(ctx context.Context, waybill string) (who county.Recipient, prefs county.NoticePrefs, ok bool, err error) {
	sealed, prefs, found, err := p.store.NoticeRecipient(ctx, waybill)
	if err != nil || !found || len(sealed) == 0 {
		return who, prefs, false, err
	}
	who, bad := p.persons.Unseal(sealed)
	return who, prefs, bad == nil, nil
}

// Unseal implements api.Addressees.
func (p people) Unseal(sealed []byte) (county.Recipient, error) {
	if len(sealed) == 0 {
		return county.Recipient{}, nil
	}
	return p.persons.Unseal(sealed)
}

// PhoneHash implements api.Addressees.
func (p people) PhoneHash(phone string) string { return p.persons.PhoneHash(phone) }

// Mask implements api.Addressees.
func (p people) Mask(who county.Recipient) county.Recipient {
	return county.Recipient{Name: person.MaskName(who.Name), Phone: person.MaskPhone(who.Phone), Village: who.Village, Lang: who.Lang}
}
