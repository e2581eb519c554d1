package pickup_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"yizhan/broker/pickup"
)

var master = bytes.Repeat([]byte{7}, pickup.KeyBytes)

// These values are in the heads of villagers and on cards: they never change. They were worked out with another implementation of
// HKDF and HMAC (testdata/vectors.py).
func TestVectors(t *testing.T) {
	one := pickup.LockerKey(master, "lk-qingshi", 1)
	require.Equal(t, "28f0a713282ac0a7258847893fb1a2d2ab40547c11434af2b8bd987f42bcc6ed", hex.EncodeToString(one))
	require.Equal(t, "86aba3741c16376de66dc39d71a7e371736dc90a9411b44422477a424736e3bb", hex.EncodeToString(pickup.LockerKey(master, "lk-qingshi", 2)))
	require.Equal(t, "464f0ddeacf6a0da33e4ebd52e99a0c4e031e37d794adff9735352cf1019602b", hex.EncodeToString(pickup.LockerKey(master, "lk-longchi", 1)))
	var codes []string
	for n := range pickup.Codes {
		codes = append(codes, pickup.Code(one, "d-0123456789abcdef", n))
	}
	require.Equal(t, strings.Fields("953382 855360 648797 475233"), codes)
	require.Equal(t, "YZP1:d-0123456789abcdef:0:6MJYV3SQTYKXBCCDLN6FJLDS5I", pickup.Ticket(one, "d-0123456789abcdef", 0))
}

func TestMatch(t *testing.T) {
	key := pickup.LockerKey(master, "lk-qingshi", 1)
	for n := range pickup.Codes {
		d, got, ok := pickup.Match(key, pickup.Code(key, "d-b", n), "d-a", "d-b", "d-c")
		require.True(t, ok)
		require.Equal(t, "d-b", d)
		require.Equal(t, n, got)
	}
	for _, code := range []string{"", "1", "12345", "1234567", "abcdef", pickup.Code(key, "d-b", pickup.Codes), pickup.Code(pickup.LockerKey(master, "lk-qingshi", 2), "d-b", 0)} {
		_, _, ok := pickup.Match(key, code, "d-a", "d-b", "d-c")
		require.False(t, ok, code)
	}
	_, _, ok := pickup.Match(key, pickup.Code(key, "d-b", 0))
	require.False(t, ok, "no deposit")
}

// Codes are spread evenly: of 200,000 each leading pair of digits comes about 2,000 times, and nearly all differ.
func TestCodesAreSpread(t *testing.T) {
	key := pickup.LockerKey(master, "lk-qingshi", 1)
	lead := map[string]int{}
	for i := range 200_000 {
		lead[pickup.Code(key, fmt.Sprint("d-", i), 0)[:2]]++
	}
	require.Len(t, lead, 100)
	chi := 0.0
	for _, n := range lead {
		chi += float64(n-2000) * float64(n-2000) / 2000
	}
	require.Less(t, chi, 150.0, "chi square with 99 degrees of freedom: above 149 once in a thousand")
}

func TestTickets(t *testing.T) {
	key := pickup.LockerKey(master, "lk-qingshi", 1)
	good := pickup.Ticket(key, "d-1", 2)
	d, n, ok := pickup.CheckTicket(key, good)
	require.True(t, ok)
	require.Equal(t, "d-1", d)
	require.Equal(t, 2, n)
	require.True(t, pickup.Secret(good))
	require.True(t, pickup.Secret(good[2:]), "cut")
	require.True(t, pickup.Secret("x"+strings.ToLower(good)))
	for i := range good {
		bad := []byte(good)
		bad[i] ^= 1
		_, _, ok := pickup.CheckTicket(key, string(bad))
		require.False(t, ok, string(bad))
	}
	for _, bad := range []string{"", "YZP1:", "YZP1:::", good + ":", good + "A", strings.ToLower(good), strings.Replace(good, ":2:", ":02:", 1), strings.Replace(good, ":2:", ":4:", 1), pickup.Ticket(key, "d-1", pickup.Codes)} {
		_, _, ok := pickup.CheckTicket(key, bad)
		require.False(t, ok, bad)
	}
	_, _, ok = pickup.CheckTicket(pickup.LockerKey(master, "lk-longchi", 1), good)
	require.False(t, ok, "another locker's")
}

func TestBadges(t *testing.T) {
	badge := pickup.BadgePrefix + strings.Repeat("Q7", 13)
	require.Len(t, pickup.BadgeHash(badge), 64)
	require.True(t, pickup.Secret(badge))
	require.True(t, pickup.Secret("YZB1:x"), "a damaged one is a secret as well")
	require.Empty(t, pickup.BadgeHash("YZB1:short"))
	require.Empty(t, pickup.BadgeHash("YL000100001"))
	require.False(t, pickup.Secret("YL000100001"))
}

func TestKeyFile(t *testing.T) {
	k := pickup.Key{Locker: "lk-qingshi", Generation: 3, Secret: pickup.LockerKey(master, "lk-qingshi", 3)}
	again, err := pickup.ParseKey([]byte(k.String() + "\n"))
	require.NoError(t, err)
	require.Equal(t, k.Secret, again.Secret)
	require.Equal(t, []any{"lk-qingshi", 3}, []any{again.Locker, again.Generation})
	secret := hex.EncodeToString(k.Secret)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		require.NotContains(t, fmt.Sprintf(verb, k), secret[:8], verb)
	}
	for _, bad := range []string{"", "a 1", "A 1 " + secret, "a 0 " + secret, "a x " + secret, "a 1 " + secret[2:], "a 1 " + secret + " b", "a 1 zz" + secret[2:]} {
		_, err := pickup.ParseKey([]byte(bad))
		require.ErrorContains(t, err, "locker key:", bad)
		require.NotContains(t, err.Error(), secret[:16])
	}
}

func TestExpect(t *testing.T) {
	e := pickup.Expect{
		Series: "a", Version: 7, Parcels: []pickup.Expected{{Waybill: "YL000100001", Size: pickup.Medium, Consent: "yes"}},
		Blocked: []string{"d-1"}, Couriers: []pickup.Courier{{ID: "c1", Badge: strings.Repeat("0a", 32)}},
	}
	b, err := json.Marshal(e)
	require.NoError(t, err)
	got, err := pickup.ParseExpect(b)
	require.NoError(t, err)
	require.Equal(t, e, *got)
	for name, c := range map[string]struct{ json, want string }{
		"not JSON": {`{`, "expect:"},
		"version":  {`{"version":-1}`, "version"},
		"waybill":  {`{"parcels":[{"waybill":"x"}]}`, "parcels[0].waybill"},
		"size":     {`{"parcels":[{"waybill":"YL000100001","size":"tall"}]}`, "parcels[0].size"},
		"blocked":  {`{"blocked":["a:b"]}`, "blocked[0]"},
		"courier":  {`{"couriers":[{"id":"C"}]}`, "couriers[0].id"},
		"badge":    {`{"couriers":[{"id":"c","badge":"x"}]}`, "couriers[0].badge"},
		"reopen":   {`{"settings":{"reopen_s":901}}`, "reopen_s"},
		"codes":    {`{"settings":{"codes":5}}`, "codes"},
		"too many": {`{"parcels":[` + strings.Repeat(`{},`, pickup.MaxParcels) + `{}]}`, "more than"},
		"too long": {strings.Repeat(" ", pickup.MaxExpect+1), "bytes are more than"},
	} {
		_, err := pickup.ParseExpect([]byte(c.json))
		require.ErrorContains(t, err, c.want, name)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"version":1,"parcels":[{"waybill":"YL000100001","size":"m","consent":"yes"}]}`), "YZP1:d-1:0:AAAA")
	f.Add([]byte("lk-a 1 "+strings.Repeat("00", 32)), "YZB1:")
	key := pickup.LockerKey(master, "lk-qingshi", 1)
	f.Fuzz(func(t *testing.T, b []byte, text string) {
		if e, err := pickup.ParseExpect(b); err == nil {
			out, err := json.Marshal(e)
			require.NoError(t, err)
			_, err = pickup.ParseExpect(out)
			require.NoError(t, err)
		}
		if k, err := pickup.ParseKey(b); err == nil {
			again, err := pickup.ParseKey([]byte(k.String()))
			require.NoError(t, err)
			require.Equal(t, k.Secret, again.Secret)
		}
		if d, n, ok := pickup.CheckTicket(key, text); ok {
			require.Equal(t, text, pickup.Ticket(key, d, n))
		}
	})
}

func BenchmarkMatch(b *testing.B) {
	key := pickup.LockerKey(master, "lk-qingshi", 1)
	for b.Loop() {
		pickup.Match(key, "000000", "d-0123456789abcdef")
	}
}
