package notify

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"mime"
	"net"
	"net/mail"
	"net/smtp"
	"net/textproto"
	"strconv"
	"strings"
	"time"

	"crypto/tls"

	"yizhan/cloud/internal/county"
	"yizhan/cloud/internal/county/channels"
)

// post is a channel of kind smtp: RFC 5321, STARTTLS of RFC 3207, texts of RFC 5322 in UTF-8.
type post struct {
	set      *channels.SMTP
	host     string
	password string
	tls      *tls.Config
	from     *mail.Address
}

func openPost(set *channels.SMTP) (*post, error) {
	p := &post{set: set}
	var err error
	if p.from, err = mail.ParseAddress(set.From); err != nil {
		return nil, fmt.Errorf("from: %w", err)
	}
	if p.host, _, err = net.SplitHostPort(set.Server); err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	if set.Password != "" {
		if p.password, err = readSecret(set.Password); err != nil {
			return nil, fmt.Errorf("password_file: %w", err)
		}
	}
	if p.tls, err = trust(set.CAFile); err != nil {
		return nil, err
	}
	p.tls.ServerName = p.host
	return p, nil
}

// Send implements Channel. Until the server has all of the text nothing is on its way; if it doesn't say what it did
// with it, nobody knows.
func (p *post) Send(ctx context.Context, m Message) Outcome {
	to, err := mail.ParseAddress(m.Email)
	if err != nil {
		return Outcome{Class: county.TryPermanent, Detail: "bad_address"}
	}
	left := false
	err = p.send(ctx, to.Address, p.text(to, m), &left)
	var said *textproto.Error
	switch {
	case err == nil:
		return Outcome{Class: county.TryAccepted, Detail: "250"}
	case errors.As(err, &said):
		o := Outcome{Class: county.TryTemporary, Detail: strconv.Itoa(said.Code)}
		if said.Code >= 500 {
			o.Class = county.TryPermanent
		}
		return o
	case left:
		return Outcome{Class: county.TryUnknown, Detail: "no_answer"}
	case errors.Is(err, errNoTLS):
		return Outcome{Class: county.TryPermanent, Detail: "no_starttls"}
	}
	return Outcome{Class: county.TryTemporary, Detail: "unreachable"}
}

var errNoTLS = errors.New("the server offers no STARTTLS")

func (p *post) send(ctx context.Context, to string, text []byte, left *bool) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", p.set.Server)
	if err != nil {
		return err
	}
	defer conn.Close()
	if end, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(end); err != nil {
			return err
		}
	}
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	c, err := smtp.NewClient(conn, p.host)
	if err != nil {
		return err
	}
	hello := p.set.Hello
	if hello == "" {
		hello = "localhost"
	}
	if err := c.Hello(hello); err != nil {
		return err
	}
	if p.set.TLS != "none" {
		if ok, _ := c.Extension("STARTTLS"); !ok {
			return errNoTLS
		}
		if err := c.StartTLS(p.tls); err != nil {
			return err
		}
	}
	if p.set.User != "" {
		if err := c.Auth(smtp.PlainAuth("", p.set.User, p.password, p.host)); err != nil {
			return err
		}
	}
	if err := c.Mail(p.from.Address); err != nil {
		return err
	}
	if err := c.Rcpt(to); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(text); err != nil {
		return err
	}
	*left = true
	if err := w.Close(); err != nil {
		return err
	}
	_ = c.Quit() // it has the text
	return nil
}

// text is the mail as it is sent. Its Message-ID is of the try, so that a server that gets it twice may notice.
func (p *post) text(to *mail.Address, m Message) []byte {
	_, domain, _ := strings.Cut(p.from.Address, "@")
	var b bytes.Buffer
	for _, h := range [][2]string{
		{"From", p.from.String()}, {"To", to.String()}, {"Subject", mime.QEncoding.Encode("utf-8", m.Subject)}, {"Date", m.At.Format(time.RFC1123Z)},
		{"Message-ID", "<" + m.Ref + "@" + domain + ">"}, {"Auto-Submitted", "auto-generated"}, {"MIME-Version", "1.0"},
		{"Content-Type", "text/plain; charset=utf-8"}, {"Content-Transfer-Encoding", "base64"},
	} {
		b.WriteString(h[0] + ": " + h[1] + "\r\n")
	}
	b.WriteString("\r\n")
	body := base64.StdEncoding.EncodeToString([]byte(m.Text + "\r\n"))
	for len(body) > 76 {
		b.WriteString(body[:76] + "\r\n")
		body = body[76:]
	}
	b.WriteString(body + "\r\n")
	return b.Bytes()
}
