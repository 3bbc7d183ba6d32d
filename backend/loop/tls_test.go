package loop

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// serverTLS returns a configuration with a fresh certificate.
var serverTLS = sync.OnceValue(func() *tls.Config {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().AddDate(1, 0, 0), DNSNames: []string{"example.com"}}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		panic(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
})

// keyLog keeps the secrets of a client.
type keyLog struct{ bytes.Buffer }

func (k *keyLog) secret(label string) []byte {
	for line := range strings.Lines(k.String()) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == label {
			b, err := hex.DecodeString(f[2])
			if err != nil {
				panic(err)
			}
			return b
		}
	}
	panic("no " + label + " in the key log")
}

// greet returns a server's tls.Conn in a task of the loop, set to buffered, and the client's outside, after the handshake.
func greet(r rig, keys io.Writer) (*tls.Conn, *Conn, *tls.Conn, net.Conn) {
	c, peer := r.half()
	c.SetBuffered(true)
	server := tls.Server(c, serverTLS())
	client := tls.Client(peer, &tls.Config{InsecureSkipVerify: true, KeyLogWriter: keys})
	failed := make(chan error, 1)
	go func() { failed <- client.Handshake() }()
	if err := server.Handshake(); err != nil {
		r.Error(err)
	}
	r.l.Block(func() {
		if err := <-failed; err != nil {
			r.Error(err)
		}
	})
	return server, c, client, peer
}

func TestTLSEcho(t *testing.T) {
	everywhere(t, func(r rig) {
		r.do(func() {
			server, c, client, _ := greet(r, nil)
			want := pattern(1 << 20)
			go func() { client.Write(want) }()
			r.l.Go(Func(func() {
				b := make([]byte, 64<<10)
				for {
					n, err := server.Read(b)
					if err != nil {
						return
					}
					server.Write(b[:n])
					if err := c.Drain(); err != nil {
						r.Error(err)
						return
					}
				}
			}))
			r.l.Block(func() {
				got := make([]byte, len(want))
				if _, err := io.ReadFull(client, got); err != nil || !bytes.Equal(got, want) {
					r.Errorf("the echo differs: %v", err)
				}
			})
			c.Close()
		})
	})
}

// trickle is a transport that gives one byte, then a temporary error, then one byte, and so on.
type trickle struct {
	net.Conn
	dry bool
	n   int
}

func (c *trickle) Read(p []byte) (int, error) {
	if c.dry = !c.dry; c.dry {
		c.n++
		return 0, ErrWouldBlock
	}
	return c.Conn.Read(p[:1])
}

// The engine lives by it: crypto/tls treats a temporary net.Error of its transport as "not now", wherever in a record it comes.
func TestTLSSurvivesTemporaryErrorsOfItsTransport(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	slow := &trickle{Conn: a}
	pass := &gate{Conn: a} // the handshake is not disturbed: its errors are final
	server := tls.Server(pass, serverTLS())
	client := tls.Client(b, &tls.Config{InsecureSkipVerify: true})
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := client.Handshake(); err != nil {
			t.Error(err)
		}
		for _, s := range []string{"one", "two", "three"} {
			io.WriteString(client, s)
		}
		client.CloseWrite()
	})
	if err := server.Handshake(); err != nil {
		t.Fatal(err)
	}
	pass.Conn = slow
	var got []byte
	for p := make([]byte, 100); ; {
		n, err := server.Read(p)
		got = append(got, p[:n]...)
		if err == io.EOF {
			break
		}
		if err != nil && err != ErrWouldBlock {
			t.Fatalf("after %q: %v", got, err)
		}
	}
	if string(got) != "onetwothree" || slow.n < 50 {
		t.Errorf("got %q, disturbed %d times", got, slow.n)
	}
	wg.Wait()
}

// gate is a transport that can be exchanged.
type gate struct{ net.Conn }

func TestTLSTryRead(t *testing.T) {
	everywhere(t, func(r rig) {
		r.do(func() {
			server, c, client, _ := greet(r, nil)
			c.SetTry(true)
			b := make([]byte, 100)
			for range 3 {
				if _, err := server.Read(b); err != ErrWouldBlock {
					r.Errorf("nothing there: %v", err)
				}
			}
			for _, want := range []string{"one", "two"} {
				r.l.Block(func() { io.WriteString(client, want) })
				for {
					n, err := server.Read(b)
					if err == ErrWouldBlock {
						if err := c.WaitRead(); err != nil {
							r.Error(err)
							return
						}
						continue
					}
					if string(b[:n]) != want || err != nil {
						r.Errorf("got %q, %v; want %q", b[:n], err, want)
					}
					break
				}
			}
			r.l.Block(func() { go io.WriteString(client, "three") })
			c.SetTry(false)
			if n, err := server.Read(b); string(b[:n]) != "three" || err != nil {
				r.Errorf("parking: got %q, %v", b[:n], err)
			}
			c.Close()
		})
	})
}

func TestTLSSurvivesInterruptAndDeadline(t *testing.T) {
	everywhere(t, func(r rig) {
		r.do(func() {
			server, c, client, _ := greet(r, nil)
			b := make([]byte, 100)
			for range 3 {
				r.l.Go(Func(c.Interrupt))
				if _, err := server.Read(b); err != ErrInterrupted {
					r.Errorf("interrupted: %v", err)
				}
				c.SetReadTimeout(ms)
				if _, err := server.Read(b); !errors.Is(err, os.ErrDeadlineExceeded) {
					r.Errorf("past the deadline: %v", err)
				}
				c.SetReadTimeout(0)
				go io.WriteString(client, "hello")
				if n, err := server.Read(b); string(b[:n]) != "hello" || err != nil {
					r.Errorf("got %q, %v", b[:n], err)
				}
				if _, err := io.WriteString(server, "answer"); err != nil {
					r.Error(err)
				}
				r.l.Block(func() {
					if n, err := client.Read(b); string(b[:n]) != "answer" || err != nil {
						r.Errorf("the client got %q, %v", b[:n], err)
					}
				})
			}
			c.Close()
		})
	})
}

func TestCloseDuringTheHandshake(t *testing.T) {
	everywhere(t, func(r rig) {
		var got error
		done := make(chan struct{})
		on(r.l, func() {
			c, _ := r.half()
			c.SetBuffered(true)
			r.l.Go(Func(func() { defer close(done); got = tls.Server(c, serverTLS()).Handshake() }))
			c.Close()
		})
		<-done
		if !errors.Is(got, ErrClosed) {
			r.Errorf("got %v", got)
		}
	})
}

// sealer writes the application records of a TLS 1.3 client by itself, so that it can send what crypto/tls never sends: KeyUpdate.
type sealer struct {
	w      io.Writer
	secret []byte
	aead   cipher.AEAD
	iv     []byte
	seq    uint64
}

// expand is HKDF-Expand-Label without context (RFC 8446 7.1).
func expand(secret []byte, label string, n int) []byte {
	label = "tls13 " + label
	info := append([]byte{byte(n >> 8), byte(n), byte(len(label))}, label...)
	out, err := hkdf.Expand(sha256.New, secret, string(append(info, 0)), n)
	if err != nil {
		panic(err)
	}
	return out
}

func (s *sealer) rekey(secret []byte) {
	block, err := aes.NewCipher(expand(secret, "key", 16))
	if err != nil {
		panic(err)
	}
	s.aead, err = cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	s.secret, s.iv, s.seq = secret, expand(secret, "iv", 12), 0
}

const (
	typeHandshake   = 22
	typeApplication = 23
)

func (s *sealer) record(kind byte, p []byte) error {
	nonce := append([]byte{}, s.iv...)
	binary.BigEndian.PutUint64(nonce[4:], binary.BigEndian.Uint64(nonce[4:])^s.seq)
	s.seq++
	head := []byte{typeApplication, 3, 3, 0, 0}
	binary.BigEndian.PutUint16(head[3:], uint16(len(p)+1+s.aead.Overhead()))
	_, err := s.w.Write(s.aead.Seal(head, nonce, append(append([]byte{}, p...), kind), head))
	return err
}

// keyUpdate asks the peer for one of its own, too (RFC 8446 4.6.3).
func (s *sealer) keyUpdate() error {
	err := s.record(typeHandshake, []byte{24, 0, 0, 1, 1})
	s.rekey(expand(s.secret, "traffic upd", sha256.Size))
	return err
}

// Both sides write all the time, the client renews its keys again and again and wants the server's renewed, and first of all it does not
// read: the server's answers come from its reader's task while its writer's is parked in Release. Nobody may wait for a mutex of crypto/tls
// that a parked task holds, and no record may overtake one that was sealed before it.
func TestTLSKeyUpdateWhileBothSidesWrite(t *testing.T) {
	everywhere(t, func(r rig) {
		const rounds, chunk = 12, 50_000 // crypto/tls takes 16 KeyUpdates in a row at most
		answer := pattern(1_000_000)
		var keys keyLog
		var client *tls.Conn
		var up *sealer
		read := make(chan int, 1)
		ready := make(chan struct{})
		r.l.Post(func() {
			r.l.Go(Func(func() {
				server, c, cl, peer := greet(r, &keys)
				if id := cl.ConnectionState().CipherSuite; id != tls.TLS_AES_128_GCM_SHA256 {
					r.Errorf("not made for %s", tls.CipherSuiteName(id))
				}
				client, up = cl, &sealer{w: peer}
				up.rekey(keys.secret("CLIENT_TRAFFIC_SECRET_0"))
				close(ready)
				var done Event
				r.l.Go(Func(func() {
					defer done.Set(r.l)
					for range rounds {
						c.Hold()
						if _, err := server.Write(answer); err != nil {
							r.Errorf("the server's write: %v", err)
						}
						if err := c.Release(); err != nil {
							r.Errorf("the server's Release: %v", err)
							return
						}
					}
				}))
				got := 0
				for b := make([]byte, 16<<10); got < rounds*chunk; {
					n, err := server.Read(b)
					if err != nil {
						r.Errorf("the server's read, after %d bytes: %v", got, err)
						break
					}
					if !bytes.Equal(b[:n], answer[got%chunk:][:n]) {
						r.Errorf("the server read something else after %d bytes", got)
						break
					}
					got += n
				}
				read <- got
				done.Wait(r.l, 0)
				server.CloseWrite()
				c.SetWriteTimeout(10 * time.Second) // CloseWrite has left a deadline in the past
				c.Drain()
				c.CloseWrite()
			}))
		})
		<-ready
		for i := range rounds {
			for o := 0; o < chunk; o += 5000 {
				if err := up.record(typeApplication, answer[o:o+5000]); err != nil {
					r.Errorf("the client's write: %v", err)
				}
			}
			if err := up.keyUpdate(); err != nil {
				r.Errorf("round %d: %v", i, err)
			}
		}
		if got := <-read; got != rounds*chunk { // the server could read it all though nobody reads from it
			r.Errorf("the server read %d of %d bytes", got, rounds*chunk)
		}
		for i := range rounds {
			b := make([]byte, len(answer))
			if n, err := io.ReadFull(client, b); err != nil || !bytes.Equal(b, answer) {
				r.Errorf("answer %d: %d bytes, %v", i, n, err)
				client.Close()
				return
			}
		}
		if _, err := client.Read(make([]byte, 1)); err != io.EOF {
			r.Errorf("at the end: %v", err)
		}
	})
}
