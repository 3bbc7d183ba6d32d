package house

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"gatehouse/backend/loop"
	"gatehouse/cmd/gatehouse/config"
	"gatehouse/frontend"
)

// TestSmallBuffersAreToldOnce: with what to do about them, and not where there is nothing to complain about.
func TestSmallBuffersAreToldOnce(t *testing.T) {
	core, lines := observer.New(zap.InfoLevel)
	h := &House{o: Options{Log: zap.New(core)}}
	h.tellBuffers(loop.Addr{}, 0, 0) // there is no HTTP/3, or nobody knows
	h.tellBuffers(loop.Addr{}, loop.UDPBuffer, 2*loop.UDPBuffer)
	if n := lines.Len(); n != 0 {
		t.Errorf("%d lines about nothing", n)
	}
	h.tellBuffers(loop.Addr{}, 2*loop.UDPBuffer, 425984)
	h.tellBuffers(loop.Addr{}, 425984, 425984)
	got := lines.All()
	if len(got) != 1 || !strings.Contains(got[0].ContextMap()["remedy"].(string), "net.core.rmem_max=7340032 net.core.wmem_max=7340032") {
		t.Errorf("%+v", got)
	}
}

// TestHTTP3KeyIsKept for those who need it, and lasts as long as the process where it cannot be.
func TestHTTP3KeyIsKept(t *testing.T) {
	dir := t.TempDir()
	with := func(http3 bool, dir string) *config.File {
		f := &config.File{Frontends: []*frontend.Config{{Binds: []*frontend.Bind{{HTTP3: http3}}}}}
		f.Global.StateDir = dir
		return f
	}
	core, lines := observer.New(zap.InfoLevel)
	log := zap.New(core)
	var first, second, lost http3Key
	if key := first.of(with(false, dir), log); key != nil {
		t.Errorf("a key for nothing: %x", key)
	}
	key := first.of(with(true, dir), log)
	if len(key) != keyLen || !bytes.Equal(key, second.of(with(true, dir), log)) {
		t.Errorf("the next process has another key")
	}
	if info, err := os.Stat(filepath.Join(dir, http3KeyFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	file := filepath.Join(dir, "file")
	os.WriteFile(file, nil, 0o600)
	if key := lost.of(with(true, file), log); len(key) != keyLen || !bytes.Equal(key, lost.of(with(true, file), log)) || lines.Len() != 1 {
		t.Errorf("%x, %d lines", key, lines.Len())
	}
}
