package house_test

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// snag is a file of the storage whose reading does not end, as on a network file system that is gone.
type snag struct {
	path string
	end  *os.File // for writing: as long as it is open, readers wait
}

// snagAt puts a snag in the place of a file.
func (s *acmeSite) snagAt(elem ...string) *snag {
	s.Helper()
	path := filepath.Join(elem...)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		s.Fatal(err)
	}
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		s.Fatal(err)
	}
	return &snag{path: path}
}

// caught reports whether somebody waits for the file.
func (n *snag) caught() bool {
	fd, err := syscall.Open(n.path, syscall.O_WRONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if err != nil { // ENXIO: nobody has opened it to read
		return false
	}
	n.end = os.NewFile(uintptr(fd), n.path)
	return true
}

// only returns the one directory inside another, that of the CA.
func (s *acmeSite) only(dir string) string {
	s.Helper()
	found, err := filepath.Glob(filepath.Join(s.path("state"), dir, "*"))
	if err != nil || len(found) != 1 {
		s.Fatalf("%s: %q, %v", dir, found, err)
	}
	return found[0]
}

// TestStorageThatHangsHoldsUpNobody: whoever asks for what lies in the storage waits, the loops serve everybody else meanwhile: requests and
// handshakes.
func TestStorageThatHangsHoldsUpNobody(t *testing.T) {
	for _, issue := range []string{"at-start", "on-first-handshake"} {
		t.Run(issue, func(t *testing.T) {
			t.Parallel()
			s := newACMESite(t, fmt.Sprintf("issue = %q", issue), "www", "other")
			s.await("www has its certificate", func() bool { return s.good(s.https, s.name("www")) })
			if issue == "at-start" {
				s.await("other has its certificate", func() bool { return s.good(s.https, s.name("other")) })
			}

			var snags []*snag
			done := make(chan struct{}, 3)
			waits := func(f func()) {
				go func() {
					defer func() { done <- struct{}{} }()
					f()
				}()
			}
			tokens := filepath.Join(s.only("acme"), "challenge_tokens")
			byTLS := s.snagAt(tokens, s.name("www")+".json")
			waits(func() { // TLS-ALPN-01, of a challenge that another instance may have begun
				c := s.ca.Client(s.name("www"))
				c.NextProtos = []string{"acme-tls/1"}
				if conn, err := tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", fmt.Sprintf("127.0.0.1:%d", s.https), c); err == nil {
					conn.Close()
					t.Error("an answer to a challenge that nobody has begun")
				}
			})
			byHTTP := s.snagAt(tokens, s.name("other")+".json")
			waits(func() { // HTTP-01
				r, err := http.NewRequest("GET", fmt.Sprintf("http://127.0.0.1:%d/.well-known/acme-challenge/%s", s.http, strings.Repeat("a", 43)), nil)
				if err != nil {
					t.Error(err)
					return
				}
				r.Host, r.Close = s.name("other"), true
				a, err := http.DefaultTransport.RoundTrip(r)
				if err != nil {
					t.Error(err)
					return
				}
				a.Body.Close()
			})
			snags = append(snags, byTLS, byHTTP)
			if issue == "on-first-handshake" {
				snags = append(snags, s.snagAt(s.only("certificates"), s.name("other"), s.name("other")+".crt"))
				waits(func() {
					if c, err := s.dial(s.https, s.name("other")); err == nil { // with whichever certificate there is then
						c.Close()
					}
				})
			}
			for _, n := range snags {
				s.await("somebody waits for "+filepath.Base(n.path), n.caught)
			}

			quick(t, 3*time.Second, func() time.Duration {
				return taken(func() {
					for range 10 { // on both loops
						if status, _, _ := s.plain(s.name("www"), "/"); status != 301 {
							t.Errorf("%d", status)
						}
						if !s.good(s.https, s.name("www")) {
							t.Error("no handshake")
						}
					}
				})
			})
			select {
			case <-done:
				t.Error("whoever asks for what is in the storage does not wait for it: the test shows nothing")
			default:
			}
			for _, n := range snags {
				n.end.Close()
				os.Remove(n.path) // nobody gets caught again
			}
			for range snags {
				<-done
			}
		})
	}
}
