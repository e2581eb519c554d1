package notify

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"yizhan/cloud/internal/county"
	"yizhan/cloud/internal/county/channels"
	"yizhan/devices/telemetry"
)

// Desk takes orders to devices, at most once each, and knows what became of them.
type Desk interface {
	Issue(ctx context.Context, c county.Command) (county.Command, error)
	Find(ctx context.Context, id string) (c county.Command, found bool, err error)
}

// SendSMS is the action of a modem.
const SendSMS = "send_sms"

// modem is a channel of kind modem: an order to a gateway's modem, whose id is the try's ref. The order's number and text
// go with it and are stored nowhere.
type modem struct {
	desk   Desk
	device string
	now    func() time.Time
}

// patience is how long a modem may take to say what it did: longer than a desk waits before it shows an order as unknown.
const patience = 3 * time.Minute

// Send implements Channel.
func (m *modem) Send(ctx context.Context, x Message) Outcome {
	_, err := m.desk.Issue(ctx, county.Command{
		ID: x.Ref, Issuer: "notify", Device: m.device, Action: SendSMS,
		Secret: map[string]string{"to": x.Phone, "text": x.Text}, Args: map[string]string{"ref": x.Ref},
	})
	if err != nil { // the desk stores an order before it does anything with it
		return m.Ask(ctx, x.Ref)
	}
	return Outcome{Class: county.TryPending}
}

// Ask implements Asked. What the desk never stored never left.
func (m *modem) Ask(ctx context.Context, ref string) Outcome {
	c, found, err := m.desk.Find(ctx, ref)
	if err != nil {
		return Outcome{Class: county.TryPending, Detail: "store_away"}
	}
	if !found {
		return Outcome{Class: county.TryTemporary, Detail: "not_issued"}
	}
	word, _, _ := strings.Cut(c.Detail, " ")
	word = shorten(word)
	switch c.Outcome {
	case "":
		return Outcome{Class: county.TryPending}
	case telemetry.Done:
		return Outcome{Class: county.TryAccepted, Detail: word}
	case telemetry.Refused:
		return Outcome{Class: refusal(word), Detail: word}
	}
	if c.Sent != nil && c.Answered == nil && m.now().Sub(*c.Sent) < patience {
		return Outcome{Class: county.TryPending}
	}
	if c.Sent == nil { // the desk notes that before anything leaves
		return Outcome{Class: county.TryTemporary, Detail: "not_sent"}
	}
	return Outcome{Class: county.TryUnknown, Detail: word}
}

// refusal is the class of a modem's refusal, or of the way to it. Nothing went out, but for doubtful: then another try may be
// the second.
func refusal(word string) string {
	switch word {
	case "doubtful":
		return county.TryUnknown
	case "bad_number", "bad_text", "too_long", "rejected", "malformed", "unknown_action":
		return county.TryPermanent
	}
	return county.TryTemporary
}

// open makes a channel of its settings.
func (n *Notifier) open(c *channels.Channel) (Channel, error) {
	if via, ok := n.opt.Via[c.Name]; ok {
		return via, nil
	}
	switch c.Kind {
	case "modem":
		if n.opt.Modem == nil {
			return nil, errors.New("there is no desk")
		}
		c.Reports = true
		return &modem{n.opt.Modem, c.Device, n.opt.Now}, nil
	case "smtp":
		return openPost(c.SMTP)
	case "outbox":
		return outbox{}, nil
	case "http":
		w, secrets, err := openWeb(c.Name, c.HTTP, n.opt.Report)
		if err != nil {
			return nil, err
		}
		if c.HTTP.Report != nil {
			c.Reports = true
			n.hooks[c.Name] = newHook(c.HTTP.Report, secrets[c.HTTP.Report.Secret])
		}
		return w, nil
	}
	return nil, fmt.Errorf("kind %q", c.Kind)
}

// outbox is a channel that goes nowhere: what it takes is seen on the page of notices. It is for demonstrations.
type outbox struct{}

// Send implements Channel.
func (outbox) Send(context.Context, Message) Outcome {
	return Outcome{Class: county.TryAccepted, Detail: "shown"}
}
