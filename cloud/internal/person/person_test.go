package person

import (
	"bytes"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"yizhan/cloud/internal/county"
)

var villager = county.Recipient{Name: "张小明", Phone: "13800005678", Village: "青石村", Address: "青石村三组12号", Lang: "zh"}

func TestSealedIsOpenedWithItsKeyOnly(t *testing.T) {
	file := filepath.Join(t.TempDir(), "data", "person.key")
	k, err := Open(file)
	require.NoError(t, err)
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	sealed := k.Seal(villager)
	require.NotContains(t, string(sealed), "5678")
	require.NotContains(t, string(sealed), "青石")
	require.NotEqual(t, sealed, k.Seal(villager), "two with the same address can't be told")

	again, err := Open(file)
	require.NoError(t, err)
	r, err := again.Unseal(sealed)
	require.NoError(t, err)
	require.Equal(t, villager, r)
	require.Equal(t, k.PhoneHash(villager.Phone), again.PhoneHash("+86 138-0000-5678"))

	other, err := Open(filepath.Join(t.TempDir(), "key"))
	require.NoError(t, err)
	_, err = other.Unseal(sealed)
	require.ErrorIs(t, err, ErrSealed)
	require.NotEqual(t, k.PhoneHash(villager.Phone), other.PhoneHash(villager.Phone))
	for i := range sealed {
		bad := bytes.Clone(sealed)
		bad[i] ^= 1
		_, err := k.Unseal(bad)
		require.ErrorIs(t, err, ErrSealed)
		_, err = k.Unseal(sealed[:i])
		require.True(t, i == 0 || err != nil, i)
	}
	require.Empty(t, k.Seal(county.Recipient{}))
}

func TestKeyFileOfOthersIsRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(file, bytes.Repeat([]byte("a"), 64), 0o600))
	_, err := Open(file)
	require.NoError(t, err)
	require.NoError(t, os.Chmod(file, 0o640))
	_, err = Open(file)
	require.ErrorContains(t, err, "others may read it")
	require.NoError(t, os.WriteFile(file, []byte("short"), 0o600))
	require.NoError(t, os.Chmod(file, 0o600))
	_, err = Open(file)
	require.ErrorContains(t, err, "64 hex digits")
}

func TestTwoStartsAtOnceShareOneKey(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key")
	hashes := make([]string, 8)
	var wg sync.WaitGroup
	for i := range hashes {
		wg.Go(func() {
			if k, err := Open(file); err == nil {
				hashes[i] = k.PhoneHash("13800005678")
			}
		})
	}
	wg.Wait()
	for _, h := range hashes {
		require.NotEmpty(t, h)
		require.Equal(t, hashes[0], h)
	}
}

func TestPhone(t *testing.T) {
	for in, want := range map[string][2]string{
		"13800005678":          {"13800005678", "138****5678"},
		"+86 138 0000 5678":    {"13800005678", "138****5678"},
		"1380000-5678":         {"13800005678", "138****5678"},
		"１３８００００５６７８":          {"13800005678", "138****5678"},
		"95013123456789,1234":  {"95013123456789,1234", "950*******6789"},
		"95013123456789转1234":  {"95013123456789,1234", "950*******6789"},
		"028-8123 4567":        {"02881234567", "028****4567"},
		"+85298765432":         {"+85298765432", "+85*****5432"},
		"12345":                {"12345", "***45"},
		"1234":                 {"", ""},
		"call me":              {"", ""},
		"138000056781234567":   {"", ""},
		"13800005678,":         {"", ""},
		"13800005678,12345678": {"13800005678,12345678", "138****5678"},
	} {
		require.Equal(t, want, [2]string{Phone(in), MaskPhone(in)}, in)
	}
}

func TestMaskName(t *testing.T) {
	for in, want := range map[string]string{"张小明": "张**", "李四": "李*", "Zhang Xiaoming": "Z*** X***", "": "", "欧": "欧*"} {
		require.Equal(t, want, MaskName(in), in)
	}
}

func FuzzPhone(f *testing.F) {
	f.Add("+86 138 0000 5678")
	f.Add("95013123456789,1234")
	f.Fuzz(func(t *testing.T, s string) {
		p := Phone(s)
		require.Equal(t, p, Phone(p), "a canonical number is its own canonical form")
		require.LessOrEqual(t, len(MaskPhone(s)), 16)
	})
}

func FuzzUnseal(f *testing.F) {
	k, err := New(bytes.Repeat([]byte{7}, 32))
	require.NoError(f, err)
	f.Add(k.Seal(villager))
	f.Fuzz(func(t *testing.T, b []byte) { _, _ = k.Unseal(b) })
}
