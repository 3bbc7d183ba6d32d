package tlsconf

import (
	"context"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// TestKernelEvents: files replaced in all the ways files are replaced are served within moments, bad ones are not, and the log says both.
func TestKernelEvents(t *testing.T) {
	ca := mintCA(nil, "root")
	dir, archive := t.TempDir(), t.TempDir()
	live := filepath.Join(dir, "live.pem")
	link := func(to string) {
		t.Helper()
		tmp := filepath.Join(dir, "tmp")
		if err := errors.Join(os.Symlink(to, tmp), os.Rename(tmp, live)); err != nil {
			t.Fatal(err)
		}
	}
	fresh := func() minted { return mint(&ca, newKey(""), nil, "a.test") }
	link(fresh().write(t, archive, "1.pem"))

	core, logs := observer.New(zapcore.DebugLevel)
	said := make(chan string, 100)
	certs, err := New(t.Context(), &Config{Certificate: live}, zap.New(core, zap.Hooks(func(e zapcore.Entry) error {
		said <- e.Message
		return nil
	})))
	if err != nil {
		t.Fatal(err)
	}
	defer certs.Close()
	await := func(want string) {
		t.Helper()
		select {
		case got := <-said:
			if got != want {
				t.Fatalf("the log says %q, want %q", got, want)
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("the log does not say %q; it has %v", want, logs.All())
		}
	}
	serves := func(m minted) {
		t.Helper()
		cs, err, _ := shake(t, certs.Config(), clientFor(ca, "a.test"))
		if err != nil || !cs.PeerCertificates[0].Equal(m.cert) {
			t.Fatalf("another certificate is served, or %v", err)
		}
	}

	second := fresh()
	link(second.write(t, archive, "2.pem")) // as certbot does
	await("certificates loaded")
	serves(second)

	third := fresh()
	third.write(t, archive, "2.pem") // in place, where the link leads
	await("certificates loaded")
	serves(third)

	write(t, archive, "2.pem", third.certPEM()[:300])
	await("certificate file is not usable; what was served before it stays")
	serves(third)

	fourth := fresh()
	fourth.write(t, dir, "new")
	if err := os.Rename(filepath.Join(dir, "new"), live); err != nil { // as careful programs do
		t.Fatal(err)
	}
	await("certificates loaded")
	serves(fourth)
}

// hand is a watch moved by the test.
type hand struct {
	mu      sync.Mutex
	changed func()
	dirs    []string
	watches int
	err     error
}

func (h *hand) watch(ctx context.Context, dirs []string, changed func()) error {
	h.mu.Lock()
	h.watches++
	h.changed, h.dirs = changed, dirs
	err := h.err
	h.mu.Unlock()
	if err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// event tells of a change.
func (h *hand) event() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.changed()
}

// first names the host of the first certificate.
func first(c *Certificates) string { return c.List()[0].Names[0] }

// TestWatchAwaitsSilence: certificate and key are replaced one after the other, and only both together are read.
func TestWatchAwaitsSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		one, two := mint(nil, newKey(""), nil, "one.test"), mint(nil, newKey(""), nil, "two.test")
		c := &Config{Certificate: write(t, dir, "site.crt", one.certPEM()), Key: write(t, dir, "site.key", one.keyPEM())}
		var h hand
		c.Watch = h.watch
		certs, logs := serveLogged(t, c)
		synctest.Wait()

		write(t, dir, "site.crt", two.certPEM())
		h.event()
		time.Sleep(settle / 2)
		write(t, dir, "site.key", two.keyPEM())
		h.event()
		time.Sleep(settle - time.Millisecond)
		synctest.Wait()
		if first(certs) != "one.test" {
			t.Error("did not wait")
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if first(certs) != "two.test" {
			t.Error("not taken up")
		}
		if n := logs.FilterLevelExact(zapcore.ErrorLevel).Len(); n > 0 {
			t.Errorf("complains: %v", logs.All())
		}

		// Without silence it reads all the same, in the end.
		one.write(t, dir, "site.crt")
		write(t, dir, "site.key", one.keyPEM())
		for range int(settleLimit/settle)*2 + 2 {
			h.event()
			time.Sleep(settle / 2)
		}
		synctest.Wait()
		if first(certs) != "one.test" {
			t.Error("unrest keeps the files from being read")
		}
	})
}

// TestWatchKeepsTheOld: what cannot be used is not served, is complained about once, and is taken up when mended. A removed file stays
// served, and so does the last one of a directory.
func TestWatchKeepsTheOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		one, two := mint(nil, newKey(""), nil, "one.test"), mint(nil, newKey(""), nil, "two.test")
		at := one.write(t, dir, "a.pem")
		var h hand
		certs, logs := serveLogged(t, &Config{Certificate: at, Watch: h.watch})
		synctest.Wait()
		event := func() {
			h.event()
			time.Sleep(settle)
			synctest.Wait()
		}
		complaints := func() int { return logs.FilterLevelExact(zapcore.ErrorLevel).Len() }
		for i, step := range []struct {
			do         func()
			want       string
			complaints int // in all
			problem    string
		}{
			{func() { write(t, dir, "a.pem", two.certPEM()+one.keyPEM()) }, "one.test", 1, "does not belong"},
			{func() {}, "one.test", 1, ""},
			{func() { os.Chtimes(at, time.Now(), time.Now()) }, "one.test", 1, ""},
			{func() { write(t, dir, "a.pem", two.certPEM()) }, "one.test", 2, "no private key"},
			{func() { os.Remove(at) }, "one.test", 3, "no such file"},
			{func() {}, "one.test", 3, ""},
			{func() { two.write(t, dir, "a.pem") }, "two.test", 3, ""},
			{func() { os.Chmod(at, 0o644) }, "two.test", 4, "every user"},
			{func() { os.Chmod(at, 0o600) }, "two.test", 4, ""},
			{func() {}, "two.test", 4, ""},
		} {
			loaded, served := logs.FilterMessage("certificates loaded").Len(), first(certs)
			step.do()
			event()
			const mended = 8 // the same certificate, usable again: that is news
			if n := logs.FilterMessage("certificates loaded").Len() - loaded; n > 0 && served == first(certs) && i != mended {
				t.Errorf("step %d: says that something changed", i)
			}
			if got := first(certs); got != step.want || complaints() != step.complaints {
				t.Fatalf("step %d: serves %s, %d complaints; want %s, %d: %v", i, got, complaints(), step.want, step.complaints, logs.All())
			}
			if step.problem != "" {
				last := logs.FilterLevelExact(zapcore.ErrorLevel).All()[step.complaints-1].ContextMap()
				if p := last["problem"].(string); !strings.Contains(p, step.problem) {
					t.Errorf("step %d: complains %q, want %q", i, p, step.problem)
				}
			}
		}
	})
}

// TestWatchSameStamp: an event makes it read what size and time do not tell apart.
func TestWatchSameStamp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, then := t.TempDir(), time.Now()
		replace := func(m minted) string {
			text := m.certPEM() + m.keyPEM()
			at := write(t, dir, "a.pem", text+strings.Repeat("\n", 4096-len(text)))
			if err := os.Chtimes(at, then, then); err != nil {
				t.Fatal(err)
			}
			return at
		}
		var h hand
		certs := serve(t, &Config{Certificate: replace(mint(nil, newKey(""), nil, "one.test")), Watch: h.watch})
		synctest.Wait()
		replace(mint(nil, newKey(""), nil, "two.test"))
		h.event()
		time.Sleep(settle)
		synctest.Wait()
		if got := first(certs); got != "two.test" {
			t.Errorf("serves %s", got)
		}
	})
}

// TestReadAgainKeepsOneCopy: files that were read again and hold what they did are not in memory twice, and what is served stays the same.
func TestReadAgainKeepsOneCopy(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.test", "b.test"} {
		mint(nil, newKey(""), nil, name).write(t, dir, name+".pem")
	}
	certs := serve(t, &Config{Certificate: dir})
	certs.Close() // the files are ours from here on
	was := certs.index.Load()
	certs.reread(true)
	mint(nil, newKey(""), nil, "c.test").write(t, dir, "c.test.pem")
	certs.reread(true)
	if now := certs.index.Load(); now.sites["a.test"].ec != was.sites["a.test"].ec || now.sites["b.test"].ec != was.sites["b.test"].ec || now.sites["c.test"] == nil {
		t.Error("what has not changed was parsed again")
	}
}

// TestWatchDirectory: files that come are served, files that go are not, bad ones leave the others alone.
func TestWatchDirectory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		mint(nil, newKey(""), nil, "b.test").write(t, dir, "b.pem")
		write(t, dir, "bad.pem", "")
		var h hand
		certs, logs := serveLogged(t, &Config{Certificate: dir, Watch: h.watch})
		synctest.Wait()
		h.mu.Lock()
		if !slices.Contains(h.dirs, dir) {
			t.Errorf("watches %q", h.dirs)
		}
		h.mu.Unlock()
		for i, step := range []struct {
			do   func()
			want string
		}{
			{func() { mint(nil, newKey(""), nil, "a.test").write(t, dir, "a.pem") }, "a.test b.test"},
			{func() { mint(nil, newKey(""), nil, "c.test").write(t, dir, "bad.pem") }, "a.test b.test c.test"},
			{func() { write(t, dir, "a.pem", "") }, "a.test b.test c.test"},
			{func() { os.Remove(filepath.Join(dir, "a.pem")) }, "b.test c.test"},
			{func() { write(t, dir, "a.pem", "") }, "b.test c.test"}, // what it once held is forgotten
			{func() { os.Remove(filepath.Join(dir, "bad.pem")) }, "b.test"},
			{func() { os.Remove(filepath.Join(dir, "b.pem")) }, "b.test"},
			{func() { write(t, dir, "d.pem", "") }, "b.test"},
			{func() { mint(nil, newKey(""), nil, "d.test").write(t, dir, "d.pem") }, "d.test"},
		} {
			step.do()
			h.event()
			time.Sleep(settle)
			synctest.Wait()
			if got := strings.Join(certs.Names(), " "); got != step.want {
				t.Fatalf("step %d: serves %s, want %s: %v", i, got, step.want, logs.All())
			}
		}
	})
}

// TestWatchPolls: where nobody reports changes, a look once a minute finds them; that is said once.
func TestWatchPolls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		at := mint(nil, newKey(""), nil, "one.test").write(t, dir, "a.pem")
		h := hand{err: errors.New("too many watches")}
		certs, logs := serveLogged(t, &Config{Certificate: at, Watch: h.watch})
		mint(nil, newKey(""), nil, "two.test").write(t, dir, "a.pem")
		stamp := time.Now().Add(time.Hour)
		os.Chtimes(at, stamp, stamp)
		time.Sleep(pollEvery)
		synctest.Wait()
		if first(certs) != "two.test" {
			t.Error("not taken up")
		}
		time.Sleep(5 * pollEvery)
		synctest.Wait()
		h.mu.Lock()
		watches := h.watches
		h.mu.Unlock()
		if n := logs.FilterMessageSnippet("once a minute").Len(); n != 1 || watches < 5 {
			t.Errorf("said %d times, watch tried %d times", n, watches)
		}
		h.mu.Lock()
		h.err = nil
		h.mu.Unlock()
		time.Sleep(pollEvery)
		synctest.Wait()
		mint(nil, newKey(""), nil, "three.test").write(t, dir, "a.pem")
		h.event()
		time.Sleep(settle)
		synctest.Wait()
		if first(certs) != "three.test" {
			t.Error("the watch is not taken up again")
		}
	})
}

// TestReviewOverTime: a certificate that runs out while it is served is complained about, and gives way to a valid one.
func TestReviewOverTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		short := mint(nil, newKey(""), func(c *x509.Certificate) { c.NotAfter = time.Now().Add(10 * 24 * time.Hour) }, "a.test")
		long := mint(nil, newKey(""), nil, "a.test")
		short.write(t, dir, "a.pem")
		long.write(t, dir, "b.pem")
		certs, logs := serveLogged(t, &Config{Certificate: dir})
		serves := func(m minted) {
			t.Helper()
			if got := certs.index.Load().lookup("a.test").ec.Leaf; !got.Equal(m.cert) {
				t.Errorf("%v: serves the one until %v", time.Now(), got.NotAfter)
			}
		}
		time.Sleep(8*24*time.Hour + time.Second)
		serves(short)
		if n := logs.Len(); n > 0 {
			t.Errorf("complains early: %v", logs.All())
		}
		time.Sleep(36 * time.Hour)
		serves(short)
		if logs.FilterMessage("certificate for a.test: expires soon").Len() == 0 {
			t.Errorf("does not complain: %v", logs.All())
		}
		time.Sleep(12*time.Hour + pollEvery)
		serves(long)
		time.Sleep(12 * time.Hour)
		if logs.FilterMessage("certificate for a.test: expired").Len() == 0 {
			t.Errorf("does not complain: %v", logs.All())
		}
	})
}

// TestKernelEventsEnd: a watch that cannot see any more says so instead of waiting for ever.
func TestKernelEventsEnd(t *testing.T) {
	if err := kernelEvents(t.Context(), []string{filepath.Join(t.TempDir(), "none")}, func() {}); err == nil || !strings.Contains(err.Error(), "none: no such file") {
		t.Errorf("a missing directory: got %v", err)
	}
	for name, leave := range map[string]func(dir string) error{
		"removed": os.RemoveAll,
		"moved":   func(dir string) error { return os.Rename(dir, dir+".old") },
	} {
		dir := filepath.Join(t.TempDir(), "certs")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		began, ended := make(chan struct{}, 10), make(chan error)
		go func() { ended <- kernelEvents(t.Context(), []string{dir}, func() { began <- struct{}{} }) }()
		<-began
		if err := leave(dir); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; err != errWatchLost {
			t.Errorf("%s: got %v, want %v", name, err, errWatchLost)
		}
	}
}
