package person

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"yizhan/cloud/internal/county"
)

// keySize is that of the key file's key and of those derived from it, bytes.
const keySize = 32

// version is the first byte of what is sealed.
const version = 1

// ErrSealed is wrapped by errors of Unseal: this was not sealed with the keeper's key, or was changed.
var ErrSealed = errors.New("person: can't be opened with this key")

// Keeper seals and opens. It is safe for concurrent use.
type Keeper struct {
	aead  cipher.AEAD
	phone []byte
	links []byte
}

// Open reads the key from a file, or makes both where the file isn't there. A file that others may read is refused.
func Open(keyFile string) (*Keeper, error) {
	key, err := readKey(keyFile)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeKey(keyFile); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("person: %w", err)
		}
		key, err = readKey(keyFile) // of whoever was first
	}
	if err != nil {
		return nil, fmt.Errorf("person: %w", err)
	}
	return New(key)
}

// New makes a keeper of a key of 32 bytes.
func New(key []byte) (*Keeper, error) {
	if len(key) != keySize {
		return nil, fmt.Errorf("person: the key has %d bytes, not %d", len(key), keySize)
	}
	block, err := aes.NewCipher(derive(key, "seal"))
	if err != nil {
		return nil, fmt.Errorf("person: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("person: %w", err)
	}
	return &Keeper{aead: aead, phone: derive(key, "phone"), links: derive(key, "links")}, nil
}

// LinkKey is what the links of recipients to their parcels are sealed with, 32 bytes; it opens no recipient.
func (k *Keeper) LinkKey() []byte { return k.links }

func derive(key []byte, word string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte("yizhan person " + word))
	return h.Sum(nil)
}

func readKey(file string) ([]byte, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s: mode is %#o, others may read it; chmod 600", file, info.Mode().Perm())
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(b)))
	if err != nil || len(key) != keySize {
		return nil, fmt.Errorf("%s: is not one line of %d hex digits", file, 2*keySize)
	}
	return key, nil
}

// makeKey puts a fresh key in place whole: a cut of power leaves no file or a good one.
func makeKey(file string) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(file), ".key-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) //nolint:errcheck // gone once it has its name
	key := make([]byte, keySize)
	_, _ = rand.Read(key) // never fails
	_, err = f.WriteString(hex.EncodeToString(key) + "\n")
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), file); err != nil { // unlike a rename it takes no other's place
		return err
	}
	dir, err := os.Open(filepath.Dir(file))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Seal makes of a recipient what the store keeps. The same recipient is sealed differently each time; one of whom
// nothing is known is sealed as nothing.
func (k *Keeper) Seal(r county.Recipient) []byte {
	if r == (county.Recipient{}) {
		return nil
	}
	plain, _ := json.Marshal(r) // strings always marshal
	return k.aead.Seal([]byte{version}, nil, plain, []byte{version})
}

// Unseal opens what Seal made.
func (k *Keeper) Unseal(b []byte) (r county.Recipient, err error) {
	if len(b) == 0 {
		return r, nil
	}
	if b[0] != version {
		return r, fmt.Errorf("%w: version %d is not known", ErrSealed, b[0])
	}
	plain, err := k.aead.Open(nil, nil, b[1:], b[:1])
	if err != nil {
		return r, ErrSealed
	}
	if err := json.Unmarshal(plain, &r); err != nil {
		return r, fmt.Errorf("person: sealed: %w", err)
	}
	return r, nil
}

// PhoneHash is by what a phone number is found: 32 hex digits, empty for none. An extension is part of the number.
func (k *Keeper) PhoneHash(phone string) string {
	p := Phone(phone)
	if p == "" {
		return ""
	}
	h := hmac.New(sha256.New, k.phone)
	h.Write([]byte(p))
	return hex.EncodeToString(h.Sum(nil)[:16])
}
