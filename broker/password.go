package broker

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	hashName  = "pbkdf2-sha256"
	hashIter  = 120_000 // a quarter of a second on a Pi Zero
	hashBytes = 32
)

// passwordHash is a parsed pbkdf2-sha256$iterations$salt$hash.
type passwordHash struct {
	iter       int
	salt, hash []byte
}

// HashPassword returns password as it stands in a config: pbkdf2-sha256$iterations$salt$hash, salt and hash in base64
// (RFC 8018, section 5.2; RFC 4648, section 5, without padding).
func HashPassword(password string) (string, error) {
	if password == "" {
		return "", errors.New("password is empty")
	}
	salt := make([]byte, 16)
	if _, err := rand.Read(salt); err != nil {
		return "", fmt.Errorf("password salt: %w", err)
	}
	h, err := pbkdf2.Key(sha256.New, password, salt, hashIter, hashBytes)
	if err != nil {
		return "", fmt.Errorf("password: %w", err)
	}
	e := base64.RawURLEncoding
	return fmt.Sprintf("%s$%d$%s$%s", hashName, hashIter, e.EncodeToString(salt), e.EncodeToString(h)), nil
}

// CheckPasswordHash says what is wrong with a hash of HashPassword's form.
func CheckPasswordHash(hash string) error {
	_, err := parseHash(hash)
	return err
}

func parseHash(s string) (h passwordHash, err error) {
	p := strings.Split(strings.TrimSpace(s), "$")
	if len(p) != 4 || p[0] != hashName {
		return h, fmt.Errorf("password hash is not %s$iterations$salt$hash", hashName)
	}
	if h.iter, err = strconv.Atoi(p[1]); err != nil || h.iter < 1000 || h.iter > 10_000_000 {
		return h, errors.New("password hash: iterations must be 1000 to 10000000")
	}
	if h.salt, err = base64.RawURLEncoding.DecodeString(p[2]); err != nil || len(h.salt) < 8 {
		return h, errors.New("password hash: salt must be at least 8 bytes of base64")
	}
	if h.hash, err = base64.RawURLEncoding.DecodeString(p[3]); err != nil || len(h.hash) != hashBytes {
		return h, fmt.Errorf("password hash: hash must be %d bytes of base64", hashBytes)
	}
	return h, nil
}

func (h *passwordHash) verify(password string) bool {
	got, err := pbkdf2.Key(sha256.New, password, h.salt, h.iter, hashBytes)
	return err == nil && subtle.ConstantTimeCompare(got, h.hash) == 1
}

// door lets users in. One password is tried at a time, a wrong one costs the address time, and one that was right
// is known again without the work.
type door struct {
	mu     sync.Mutex
	secret [32]byte
	users  map[string]*user
	fails  map[string]failure // by address
}

type failure struct {
	n     int
	until time.Time
}

const (
	freeFailures = 5
	maxFailures  = 1024 // addresses remembered
)

func newDoor(users map[string]*user) (*door, error) {
	d := &door{users: users, fails: map[string]failure{}}
	if _, err := rand.Read(d.secret[:]); err != nil {
		return nil, fmt.Errorf("broker: random source: %w", err)
	}
	return d, nil
}

// enter returns the user; nil when name and password don't fit or the address has to wait.
func (d *door) enter(ip, name, password string, now time.Time) *user {
	d.mu.Lock()
	defer d.mu.Unlock()
	f := d.fails[ip]
	if now.Before(f.until) {
		return nil
	}
	u := d.users[name]
	sum := sha256.Sum256(append(d.secret[:], password...))
	switch {
	case u != nil && u.known && subtle.ConstantTimeCompare(u.sum[:], sum[:]) == 1:
	case u != nil && u.hash.verify(password):
		u.known, u.sum = true, sum
	default:
		if u == nil { // takes as long as a known name
			for _, any := range d.users {
				any.hash.verify(password)
				break
			}
		}
		if f.n++; f.n >= freeFailures {
			f.until = now.Add(min(time.Second<<min(f.n-freeFailures, 6), time.Minute))
		}
		if len(d.fails) >= maxFailures {
			clear(d.fails)
		}
		d.fails[ip] = f
		return nil
	}
	delete(d.fails, ip)
	return u
}
