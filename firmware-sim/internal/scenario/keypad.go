package scenario

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Keypad is the panel of a locker that keeps itself. Await returns the first of some words that is shown after the first n
// screens, and the cell that it names.
type Keypad interface {
	TypeAt(cell int, code string) error
	Screens() int
	Await(ctx context.Context, n int, words ...string) (word string, cell int, err error)
}

// Slot is the scanner in such a locker.
type Slot interface {
	Scan(symbology, text string) error
}

// answer is how long a panel may take to show something.
const answer = 5 * time.Second

var (
	errNoConsent = errors.New("its recipient takes no locker")
	errNoMessage = errors.New("there is no message yet")
)

// handIn is a courier at a locker that keeps itself: hold the parcel to its scanner, and lay it where a door opens.
func (s *Story) handIn(ctx context.Context, st *stand, p *Parcel) error {
	wait, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cell, err := s.offer(wait, st, p)
	if errors.Is(err, errNoConsent) {
		return s.toCounter(ctx, p, "refused", noLocker)
	}
	if err != nil {
		return err
	}
	if err := st.Cabinet.AwaitOpen(wait, cell); err != nil {
		return err
	}
	return s.layIn(ctx, st, p, cell)
}

// offer holds a parcel to the scanner until a cell is named, or the locker doesn't take it.
func (s *Story) offer(ctx context.Context, st *stand, p *Parcel) (cell int, err error) {
	later := []string{"try_again", "busy", "unknown_waybill", "no_list", "out_of_order", "stands_open"}
	never := []string{"no_consent", "needs_cold", "already_here", "full", "sign_on", "jammed"}
	for {
		n := st.Keypad.Screens()
		if err := st.Slot.Scan("C0", p.Waybill); err != nil {
			return 0, err
		}
		word := ""
		looks, cancel := context.WithTimeout(ctx, answer)
		word, cell, err = st.Keypad.Await(looks, n, slices.Concat([]string{"put"}, later, never)...)
		cancel()
		switch {
		case ctx.Err() != nil:
			return 0, fmt.Errorf("not taken: %s: %w", word, ctx.Err())
		case err != nil, slices.Contains(later, word):
			if err := s.rest(ctx, 0, time.Second); err != nil {
				return 0, fmt.Errorf("not taken: %s: %w", word, err)
			}
		case word == "put":
			return cell, nil
		case word == "no_consent":
			return 0, errNoConsent
		default:
			return 0, fmt.Errorf("not taken: %s", word)
		}
	}
}

const noLocker = "takes no locker; it is at the counter"

// toCounter leaves a parcel with the outlet's keeper, and says why.
func (s *Story) toCounter(ctx context.Context, p *Parcel, step, reason string) error {
	if err := s.World.move(p, counter(p.Site), 0); err != nil {
		return err
	}
	brief, cancel := context.WithTimeout(ctx, patience/4)
	defer cancel()
	if err := s.Front.Say(brief, p, step, reason); err != nil {
		s.Logger.Debug("asked in vain", "kind", step, "err", err)
	}
	return ctx.Err()
}

// sign is a recipient at the counter.
func (s *Story) sign(ctx context.Context, p *Parcel) error {
	if err := s.Front.Say(ctx, p, "signed_for", ""); err != nil {
		return err
	}
	return s.hand(p)
}

// hand gives a parcel to its recipient.
func (s *Story) hand(p *Parcel) error {
	if st := s.stock[p.Locker]; st != nil {
		st.forget(p.Waybill)
	}
	return s.World.take(p)
}

// fetch is a villager at a locker that keeps itself, with the message: type cell and code, and take the parcel out.
func (s *Story) fetch(ctx context.Context, st *stand, p *Parcel) error {
	text, err := s.Front.Message(ctx, p)
	if err != nil {
		return err
	}
	cell, code, ok := read(text)
	if !ok && text != "" { // it was laid in before the locker kept itself
		return s.collect(ctx, st, p)
	}
	if !ok {
		return errNoMessage
	}
	if err := st.line.enter(ctx); err != nil {
		return err
	}
	defer st.line.leave()
	select {
	case <-s.slips: // the first of the world's first day mistypes, and complains
		if word, err := s.typeAt(ctx, st, cell, slip(code)); err != nil || word != "wrong" {
			return fmt.Errorf("a wrong code: %s: %w", word, err)
		}
		if err := s.Front.Complain(ctx, p); err != nil {
			s.Logger.Debug("asked in vain", "kind", "complaint", "err", err)
		}
	default:
	}
	word, err := s.typeAt(ctx, st, cell, code)
	if err != nil {
		return err
	}
	if word != "take" {
		return fmt.Errorf("the keypad shows %s", word)
	}
	return s.takeOut(ctx, st, cell)
}

// typeAt types cell and code, and looks what is shown.
func (s *Story) typeAt(ctx context.Context, st *stand, cell int, code string) (word string, err error) {
	looks, cancel := context.WithTimeout(ctx, 2*answer)
	defer cancel()
	n := st.Keypad.Screens()
	if err := st.Keypad.TypeAt(cell, code); err != nil {
		return "", err
	}
	word, _, err = st.Keypad.Await(looks, n, "take", "wrong", "wait", "overdue", "nothing_here", "stands_open", "busy", "try_again", "jammed", "wrong_door", "out_of_order")
	return word, err
}

// takeOut takes what lies in a cell whose door opens.
func (s *Story) takeOut(ctx context.Context, st *stand, cell int) error {
	wait, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := st.Cabinet.AwaitOpen(wait, cell); err != nil {
		return err
	}
	defer st.Cabinet.Shut(cell)
	if err := s.rest(ctx, 6*time.Second, 800*time.Millisecond); err != nil {
		return err
	}
	if err := st.Cabinet.Put(cell, false); err != nil {
		return err
	}
	if p := s.World.inCell(st.locker.ID, cell); p != nil {
		if err := s.hand(p); err != nil {
			return err
		}
	}
	return s.shut(ctx, st, cell)
}

// Type is somebody at the keypad of a locker: cell and code are typed, and where the door opens what lies there is taken out. It returns the
// word that the keypad shows.
func (s *Story) Type(ctx context.Context, locker string, cell int, code string) (word string, err error) {
	st := s.stock[locker]
	if st == nil || st.Keypad == nil {
		return "", fmt.Errorf("%.40q is no locker with a keypad", locker)
	}
	if cell < 1 || cell > len(st.locker.Cells) {
		return "", fmt.Errorf("%s has cells 1 to %d", locker, len(st.locker.Cells))
	}
	if err := st.line.enter(ctx); err != nil {
		return "", err
	}
	defer st.line.leave()
	if word, err = s.typeAt(ctx, st, cell, code); err != nil || word != "take" {
		return word, err
	}
	return word, s.takeOut(ctx, st, cell)
}
