package pickup

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
)

// KeyBytes is the length of a locker's key; a master secret has at least as many.
const KeyBytes = 32

// Codes is how many codes a deposit has: n is 0 to Codes-1.
const Codes = 4

// Digits is the length of a code.
const Digits = 6

// Key is what a locker can open its cells by.
type Key struct {
	Locker     string // lk-qingshi
	Generation int    // from 1; raised when a card is lost
	Secret     []byte `json:"-"` // KeyBytes
}

// LockerKey derives a locker's key from the county's master secret, which must have at least KeyBytes.
func LockerKey(master []byte, locker string, generation int) []byte {
	if len(master) < KeyBytes {
		panic("BUG: pickup: a master secret of " + strconv.Itoa(len(master)) + " bytes")
	}
	key, err := hkdf.Key(sha256.New, master, []byte("yizhan pickup 1"), "locker\x00"+locker+"\x00"+strconv.Itoa(generation), KeyBytes)
	if err != nil {
		panic("BUG: pickup: " + err.Error())
	}
	return key
}

// mac is keyed over a purpose, a deposit and a number. Neither holds a NUL.
func mac(key []byte, purpose, deposit string, n int) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(purpose + "\x00" + deposit + "\x00" + strconv.Itoa(n)))
	return h.Sum(nil)
}

// Code is code number n of a deposit: six digits.
func Code(key []byte, deposit string, n int) string {
	v := binary.BigEndian.Uint64(mac(key, "code", deposit, n)) % 1_000_000
	return fmt.Sprintf("%06d", v)
}

// Match tells which code of which deposit was typed. It takes the same time whether and where one is found; of two deposits with the
// same code it is the later one.
func Match(key []byte, code string, deposits ...string) (deposit string, n int, ok bool) {
	at, found := 0, 0
	for i := range len(deposits) * Codes {
		same := subtle.ConstantTimeCompare([]byte(Code(key, deposits[i/Codes], i%Codes)), []byte(code))
		at = subtle.ConstantTimeSelect(same, i, at)
		found |= same
	}
	if found == 0 {
		return "", 0, false
	}
	return deposits[at/Codes], at % Codes, true
}

// ValidCode reports whether a text has the form of a code.
func ValidCode(code string) bool {
	return len(code) == Digits && strings.Trim(code, "0123456789") == ""
}

// TicketPrefix begins every ticket, BadgePrefix every courier's badge: what a scanner reads and nobody may record.
const (
	TicketPrefix = "YZP1:"
	BadgePrefix  = "YZB1:"
)

const tagBytes = 16

func tag(key []byte, deposit string, n int) string {
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(mac(key, "ticket", deposit, n)[:tagBytes])
}

// Ticket is the text of a QR code that opens the cell of a deposit, as code number n does.
func Ticket(key []byte, deposit string, n int) string {
	return TicketPrefix + deposit + ":" + strconv.Itoa(n) + ":" + tag(key, deposit, n)
}

// CheckTicket tells which deposit a ticket opens, and whether it is genuine.
func CheckTicket(key []byte, text string) (deposit string, n int, ok bool) {
	rest, ok := strings.CutPrefix(text, TicketPrefix)
	if !ok {
		return "", 0, false
	}
	p := strings.Split(rest, ":")
	if len(p) != 3 || !ValidDeposit(p[0]) {
		return "", 0, false
	}
	n, err := strconv.Atoi(p[1])
	if err != nil || n < 0 || n >= Codes || strconv.Itoa(n) != p[1] || !hmac.Equal([]byte(tag(key, p[0], n)), []byte(p[2])) {
		return "", 0, false
	}
	return p[0], n, true
}

// ValidDeposit reports whether a text may be the id of a deposit: 1 to 128 printable ASCII characters without space and ':'.
func ValidDeposit(id string) bool {
	if id == "" || len(id) > 128 {
		return false
	}
	for i := range len(id) {
		if id[i] <= ' ' || id[i] > '~' || id[i] == ':' {
			return false
		}
	}
	return true
}

// Secret reports whether what a scanner read is a ticket or badge, or may be what noise made of one: it must not be recorded.
func Secret(text string) bool {
	up := strings.ToUpper(text)
	if strings.Contains(up, TicketPrefix) || strings.Contains(up, BadgePrefix) {
		return true
	}
	at := strings.LastIndexByte(text, ':')
	return strings.Count(text, ":") >= 2 && len(text)-at > 20 && strings.Trim(up[at+1:], "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") == ""
}

// BadgeHash is what lockers know of a courier's badge: SHA-256 as hex. A text that is no badge has none.
func BadgeHash(text string) string {
	if !strings.HasPrefix(text, BadgePrefix) || len(text) < len(BadgePrefix)+20 || len(text) > 256 {
		return ""
	}
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// String is the line of a key file. It holds the secret.
func (k Key) String() string {
	return k.Locker + " " + strconv.Itoa(k.Generation) + " " + hex.EncodeToString(k.Secret)
}

// GoString hides the secret.
func (k Key) GoString() string { return fmt.Sprintf("pickup.Key{%s %d}", k.Locker, k.Generation) }

// LogValue hides the secret.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.GoString()) }

// Format hides the secret from the verbs of package fmt: a key is printed by String alone.
func (k Key) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(k.GoString())) }

// ParseKey reads a key file. Its errors don't repeat what stands there.
func ParseKey(file []byte) (Key, error) {
	f := strings.Fields(string(file))
	if len(f) != 3 {
		return Key{}, errors.New("locker key: is not LOCKER GENERATION KEY")
	}
	k := Key{Locker: f[0]}
	if !word(k.Locker) {
		return Key{}, errors.New("locker key: locker is not 1 to 32 of a-z, 0-9 and '-'")
	}
	var err error
	if k.Generation, err = strconv.Atoi(f[1]); err != nil || k.Generation < 1 {
		return Key{}, errors.New("locker key: generation is not 1 or more")
	}
	if k.Secret, err = hex.DecodeString(f[2]); err != nil || len(k.Secret) != KeyBytes {
		return Key{}, fmt.Errorf("locker key: key is not %d hex digits", 2*KeyBytes)
	}
	return k, nil
}

func word(s string) bool {
	return s != "" && len(s) <= 32 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}
