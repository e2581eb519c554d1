package service

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// certificate is a key pair of two files, read again when they change: who renews it restarts nothing.
type certificate struct {
	cert, key string
	now       func() time.Time

	mu     sync.Mutex
	held   *tls.Certificate
	stamp  [2]time.Time
	looked time.Time
}

// lookAgain is how long a certificate is used before its files are looked at.
const lookAgain = time.Minute

// openCertificate reads a key pair.
func openCertificate(cert, key string, now func() time.Time) (*certificate, error) {
	c := &certificate{cert: cert, key: key, now: now}
	if err := c.read(); err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	return c, nil
}

// config is what a listener needs of it.
func (c *certificate) config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if now := c.now(); now.Sub(c.looked) > lookAgain || now.Before(c.looked) {
			_ = c.read() // half written, or gone: the old one serves until it is whole
		}
		return c.held, nil
	}}
}

func (c *certificate) read() error {
	c.looked = c.now()
	a, err1 := os.Stat(c.cert)
	b, err2 := os.Stat(c.key)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	stamp := [2]time.Time{a.ModTime(), b.ModTime()}
	if c.held != nil && stamp == c.stamp {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		return err
	}
	c.held, c.stamp = &pair, stamp
	return nil
}
