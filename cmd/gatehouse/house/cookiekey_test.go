package house

import (
	"bytes"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"gatehouse/backend"
	"gatehouse/cmd/gatehouse/config"
)

// signing is a configuration with a signed cookie, whose state is in dir.
func signing(dir, secret string) *config.File {
	return &config.File{Global: config.Global{StateDir: dir},
		Backends: []*backend.Config{{Name: "plain"}, {Name: "webfarm", Cookie: &backend.Cookie{Name: "SERVERID", Signed: true, Secret: secret}}}}
}

func TestCookieKeyOutlastsTheProcess(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	var first, second cookieKey
	key := first.of(signing(dir, ""), zap.NewNop())
	if len(key) != keyLen {
		t.Fatalf("a key of %d bytes", len(key))
	}
	if again := second.of(signing(dir, ""), zap.NewNop()); !bytes.Equal(key, again) {
		t.Error("the next process has another key: clients lose their servers")
	}
	info, err := os.Stat(filepath.Join(dir, cookieKeyFile))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the key has mode %v, want 0600", info.Mode().Perm())
	}
	if list, _ := os.ReadDir(dir); len(list) != 1 {
		t.Errorf("%d files are left, want the key alone", len(list))
	}
}

func TestCookieKeyIsMadeWhenNeeded(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	var k cookieKey
	if key := k.of(signing(dir, "sixteen characters"), zap.NewNop()); key != nil {
		t.Error("a cookie with a secret of its own got a key")
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the state directory was made: %v", err)
	}
}

func TestCookieKeyMovesWithTheStateDirectory(t *testing.T) {
	var k, other cookieKey
	key := k.of(signing(t.TempDir(), ""), zap.NewNop())
	to := t.TempDir()
	if moved := k.of(signing(to, ""), zap.NewNop()); !bytes.Equal(key, moved) {
		t.Error("another state directory makes clients lose their servers")
	}
	if kept := other.of(signing(to, ""), zap.NewNop()); !bytes.Equal(key, kept) {
		t.Error("the new directory has another key")
	}
}

// What cannot be kept is made for the process, and said.
func TestCookieKeyThatCannotBeKept(t *testing.T) {
	for name, spoil := range map[string]func(dir string) error{
		"no directory": func(dir string) error { return os.WriteFile(dir, nil, 0o600) },
		"half a key": func(dir string) error {
			if err := os.Mkdir(dir, 0o700); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(dir, cookieKeyFile), []byte("half"), 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "state")
			if err := spoil(dir); err != nil {
				t.Fatal(err)
			}
			core, said := observer.New(zap.WarnLevel)
			var k cookieKey
			key := k.of(signing(dir, ""), zap.New(core))
			if len(key) != keyLen || !bytes.Equal(key, k.of(signing(dir, ""), zap.New(core))) {
				t.Error("the process has no key to go on with")
			}
			if said.Len() != 1 {
				t.Errorf("%d warnings, want 1", said.Len())
			}
		})
	}
}

func TestCookieKeyMadeByManyIsOne(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state", cookieKeyFile)
	keys := make([][]byte, 8)
	var all sync.WaitGroup
	for i := range keys {
		all.Go(func() {
			var err error
			if keys[i], err = keepKey(file, bytes.Repeat([]byte{byte(i)}, keyLen)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for _, key := range keys {
		if !bytes.Equal(key, keys[0]) {
			t.Errorf("key %x, want %x", key, keys[0])
		}
	}
}
