//go:build linux

package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// loadedSite speaks HTTP/2 with everybody.
const loadedSite = `
global {
  state_dir      = "state"
  shutdown_grace = "20s"
}
tls "own" { internal = true }
frontend "www" {
  hosts   = ["www.test"]
  bind "ADDRESS" { tls = tls.own }
  backend = backend.app
}
frontend "rpc" {
  bind "CALLS" { protocols = ["h2"] }
  backend = backend.calls
}
backend "app" {
  server "A" "SERVER" {}
}
backend "calls" {
  server "A" "CALLED" { protocol = "h2" }
}
`

// TestReloadsAndStopUnderLoad: two reloads and a stop in the middle of requests and calls over HTTP/2. Each that was begun is answered; at the end
// some find that nobody is there any more.
func TestReloadsAndStopUnderLoad(t *testing.T) {
	calls := freeAddress(t)
	text := strings.NewReplacer("CALLS", calls, "CALLED", healthServer(t)).Replace(loadedSite)
	content := strings.Repeat("fine ", 20_000)
	dir, address := place(t, text, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		io.WriteString(w, content)
	})
	g := launch(t, dir, nil)
	g.says("serving")
	l := &load{T: t}
	for range 3 {
		l.requests(address, content)
		l.calls(calls)
	}
	hangUp := l.stream(calls)
	l.some(g)
	for i, change := range []string{"max_connections = 99", "max_connections = 98"} {
		name := filepath.Join(dir, "gatehouse.hcl")
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		text = bytes.ReplaceAll(text, []byte("  backend = backend."), []byte("  "+change+"\n  backend = backend."))
		if i > 0 {
			text = bytes.ReplaceAll(text, []byte("  max_connections = 99\n"), nil)
		}
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
		g.signal(syscall.SIGHUP)
		g.says([]string{`"generation": 2`, `"generation": 3`}[i])
		l.some(g)
	}
	l.over.Store(true)
	g.signal(syscall.SIGTERM)
	g.says("stopping")
	hangUp()
	g.ends(0)
	l.wg.Wait()
	if l.refused.Load() == 0 {
		t.Error("nobody has noticed that gatehouse is gone")
	}
	t.Logf("%d requests and calls were answered", l.answered.Load())
}

// healthServer is a server of gRPC's health service. It returns its address.
func healthServer(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	grpc_health_v1.RegisterHealthServer(s, health.NewServer())
	var running sync.WaitGroup
	running.Go(func() { s.Serve(ln) })
	t.Cleanup(func() {
		s.Stop()
		running.Wait()
	})
	return ln.Addr().String()
}

// load is what many clients do at once, until there is nobody who answers.
type load struct {
	*testing.T
	wg       sync.WaitGroup
	answered atomic.Int64
	refused  atomic.Int64
	over     atomic.Bool // gatehouse may be gone
}

// some waits until there was some more of it.
func (l *load) some(g *process) {
	l.Helper()
	n := l.answered.Load()
	g.await("answers", func() bool { return l.answered.Load() >= n+300 || l.Failed() })
}

// gone reports whether an error says that nobody listens, and may. Any other is none to be had.
func (l *load) gone(what string, err error) bool {
	if l.over.Load() && (errors.Is(err, syscall.ECONNREFUSED) || strings.Contains(err.Error(), "connection refused")) {
		l.refused.Add(1)
		return true
	}
	l.Errorf("%s, after the order to stop: %v: %v", what, l.over.Load(), err)
	return false
}

// requests makes GET and POST requests on the streams of one connection.
func (l *load) requests(address, content string) {
	tr := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", address)
	}}
	l.Cleanup(tr.CloseIdleConnections)
	c := &http.Client{Transport: tr, Timeout: patience}
	for i := range 8 {
		l.wg.Go(func() {
			for n := 0; ; n++ {
				q := httptest.NewRequest("GET", "https://www.test/", nil)
				if i%2 > 0 {
					q = httptest.NewRequest("POST", "https://www.test/", strings.NewReader(content[:n%3*40_000]))
					q.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(content[:n%3*40_000])), nil }
				}
				q.RequestURI = ""
				resp, err := c.Do(q)
				if err != nil {
					l.gone(q.Method, err)
					return
				}
				b, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || resp.StatusCode != 200 || resp.ProtoMajor != 2 || string(b) != content {
					l.Errorf("%s: %s %s, %d bytes, %v", q.Method, resp.Proto, resp.Status, len(b), err)
					return
				}
				l.answered.Add(1)
			}
		})
	}
}

// client is a client of gRPC.
func (l *load) client(address string) grpc_health_v1.HealthClient {
	cc, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		l.Fatal(err)
	}
	l.Cleanup(func() { cc.Close() })
	return grpc_health_v1.NewHealthClient(cc)
}

// calls makes calls on the streams of one connection.
func (l *load) calls(address string) {
	c := l.client(address)
	for range 8 {
		l.wg.Go(func() {
			for {
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				got, err := c.Check(ctx, &grpc_health_v1.HealthCheckRequest{})
				cancel()
				if status.Code(err) == codes.Unavailable {
					l.gone("a call", err)
					return
				}
				if err != nil || got.Status != grpc_health_v1.HealthCheckResponse_SERVING {
					l.Errorf("a call: %v, %v", got, err)
					return
				}
				l.answered.Add(1)
			}
		})
	}
}

// stream opens a conversation that lasts over both reloads and the order to stop, until hang up is called.
func (l *load) stream(address string) (hangUp func()) {
	ctx, hangUp := context.WithCancel(context.Background())
	w, err := l.client(address).Watch(ctx, &grpc_health_v1.HealthCheckRequest{})
	if err == nil {
		_, err = w.Recv()
	}
	if err != nil {
		l.Error(err)
	}
	l.wg.Go(func() {
		if _, err := w.Recv(); status.Code(err) != codes.Canceled || ctx.Err() == nil {
			l.Errorf("a conversation: %v", err)
		}
	})
	return hangUp
}
