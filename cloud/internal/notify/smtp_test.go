package notify

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"io"
	"math/big"
	"mime"
	"net"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/cloud/internal/county"
	"yizhan/cloud/internal/county/channels"
)

// mailer is a mail server: it says what the test wants at each word, and keeps what it gets.
type mailer struct {
	t      *testing.T
	l      net.Listener
	tls    *tls.Config
	says   map[string]string // in place of what is usual, by the word of the client's line; "." is the end of a text
	ca     string
	secure bool
	auth   string
	texts  chan string
}

func startMailer(t *testing.T, says map[string]string) *mailer {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	require.NoError(t, err)
	m := &mailer{t: t, says: says, ca: filepath.Join(t.TempDir(), "ca.pem"), texts: make(chan string, 10)}
	require.NoError(t, os.WriteFile(m.ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	m.tls = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}
	m.l, err = net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = m.l.Close() })
	go func() {
		for {
			conn, err := m.l.Accept()
			if err != nil {
				return
			}
			go m.serve(conn)
		}
	}()
	return m
}

func (m *mailer) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	r := bufio.NewReader(conn)
	say := func(word, usual string) bool {
		if s, ok := m.says[word]; ok {
			usual = s
		}
		if usual == "" {
			return false
		}
		_, _ = io.WriteString(conn, usual+"\r\n")
		return true
	}
	if !say("connect", "220 mail.example ESMTP") {
		return
	}
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch strings.ToUpper(word) {
		case "EHLO":
			if m.secure {
				say("EHLO", "250-hi\r\n250 AUTH PLAIN")
			} else {
				say("EHLO", "250-hi\r\n250 STARTTLS")
			}
		case "STARTTLS":
			say("STARTTLS", "220 go")
			t := tls.Server(conn, m.tls)
			conn, r, m.secure = t, bufio.NewReader(t), true
		case "AUTH":
			m.auth = rest
			say("AUTH", "235 ok")
		case "DATA":
			say("DATA", "354 go")
			var text strings.Builder
			for {
				line, err := r.ReadString('\n')
				if err != nil {
					return
				}
				if line == ".\r\n" {
					break
				}
				text.WriteString(line)
			}
			if !say(".", "250 kept") {
				return
			}
			m.texts <- text.String()
		case "QUIT":
			say("QUIT", "221 bye")
			return
		default:
			say(strings.ToUpper(word), "250 ok")
		}
	}
}

func (m *mailer) post(t *testing.T) *post {
	p, err := openPost(&channels.SMTP{Server: m.l.Addr().String(), From: "驿站 <post@county.example>", User: "post", Password: secretFile(t, "pw"), CAFile: m.ca})
	require.NoError(t, err)
	return p
}

func TestAMailGoesOutEncrypted(t *testing.T) {
	m := startMailer(t, nil)
	msg := hello
	msg.Email, msg.Subject = "王 <wang@village.example>", "云岭驿站 0001"
	o := m.post(t).Send(t.Context(), msg)
	require.Equal(t, Outcome{Class: county.TryAccepted, Detail: "250"}, o)
	require.True(t, m.secure)
	got, err := mail.ReadMessage(strings.NewReader(<-m.texts))
	require.NoError(t, err)
	subject, err := new(mime.WordDecoder).DecodeHeader(got.Header.Get("Subject"))
	require.NoError(t, err)
	require.Equal(t, "云岭驿站 0001", subject)
	require.Equal(t, "<n-1-1@county.example>", got.Header.Get("Message-Id"))
	body, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, got.Body))
	require.NoError(t, err)
	require.Equal(t, hello.Text+"\r\n", string(body))
	require.NotEmpty(t, m.auth)
}

func TestWhatAMailServerSaysHasAClass(t *testing.T) {
	for name, c := range map[string]struct {
		says  map[string]string
		class string
	}{
		"busy":               {map[string]string{"connect": "421 later"}, county.TryTemporary},
		"greylisted":         {map[string]string{"RCPT": "451 later"}, county.TryTemporary},
		"nobody there":       {map[string]string{"RCPT": "550 no such user"}, county.TryPermanent},
		"wrong password":     {map[string]string{"AUTH": "535 no"}, county.TryPermanent},
		"refused text":       {map[string]string{".": "554 spam"}, county.TryPermanent},
		"full":               {map[string]string{".": "452 full"}, county.TryTemporary},
		"silence at the end": {map[string]string{".": ""}, county.TryUnknown},
		"silence before":     {map[string]string{"connect": ""}, county.TryTemporary},
		"without encryption": {map[string]string{"EHLO": "250 hi"}, county.TryPermanent},
	} {
		t.Run(name, func(t *testing.T) {
			m := startMailer(t, c.says)
			msg := hello
			msg.Email = "wang@village.example"
			require.Equal(t, c.class, m.post(t).Send(t.Context(), msg).Class)
		})
	}
	p, err := openPost(&channels.SMTP{Server: "127.0.0.1:1", From: "post@county.example"})
	require.NoError(t, err)
	require.Equal(t, county.TryPermanent, p.Send(t.Context(), hello).Class, "no address")
	msg := hello
	msg.Email = "wang@village.example"
	require.Equal(t, county.TryTemporary, p.Send(t.Context(), msg).Class)
}
