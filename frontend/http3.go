package frontend

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// quicSide is the HTTP/3 side of a Listener: UDP on its port. QUIC and the framing of HTTP/3 are quic-go's, which runs on goroutines of its
// own; each request is served as a task of a loop, as those of HTTP/1 are. It is not changed by a reload: what came in before goes on,
// and new connections and requests find who is in charge then.
type quicSide struct {
	n      *Listener
	sock   *quicSocket
	tr     *quic.Transport
	ln     *quic.Listener
	stop   context.CancelFunc // no connection is accepted any more
	ctx    context.Context
	turn   atomic.Uint32 // which loop is next
	greets atomic.Int64  // handshakes under way
	asked  atomic.Int64  // who had to prove the address, whether we have told them or not; of suspects

	mu      sync.Mutex // guards what follows
	server  *http3.Server
	bounds  quicBounds // of server
	past    []*http3.Server
	conns   map[*quicConn]struct{}
	leaving bool // no more handshakes begin
	closing bool

	alive sync.WaitGroup // the accepting goroutine, and the connections
}

// quicBounds are what a connection of HTTP/3 is told at its beginning.
type quicBounds struct {
	head int           // bytes of a head, as HTTP/3 counts them
	idle time.Duration // without a request
}

const (
	// retryAbove is how many handshakes are under way before those who come prove their address first, by one more round trip (RFC 9000
	// 8.1.2): a flood from made-up addresses goes no further than that.
	retryAbove = 256
	// retryQueue is how many of those quic-go keeps until they are told.
	retryQueue = 8
	// greetAtMost is how many there may be at all. Beyond that they are refused, unanswered by any certificate.
	greetAtMost = 4096
	// quicSilence is how long a connection may be without a sign of life, and quicPulse how often we ask for one: a path that is gone is
	// noticed although HTTP is silent.
	quicSilence = 45 * time.Second
	quicPulse   = 20 * time.Second
	// What a client may send ahead of what servers take, on one stream and in all: they grow from the first to the second.
	streamWindow, streamWindowMost = 256 << 10, 1 << 20
	connWindow, connWindowMost     = 512 << 10, 4 << 20
	// A client needs three streams in its direction alone, for control and QPACK (RFC 9114 6.2).
	uniStreams = 8
)

// startQUIC serves the UDP side. It owns the socket.
func (n *Listener) startQUIC(sock *quicSocket, secret []byte) error {
	s := &quicSide{n: n, sock: sock, conns: map[*quicConn]struct{}{}}
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.tr = &quic.Transport{
		Conn:                  sock,
		ConnectionIDGenerator: sock.tag,
		VerifySourceAddress:   s.suspects,
		ConnContext:           s.greet,
	}
	err := s.keys(secret)
	if err != nil {
		s.stop()
		sock.Close()
		return err
	}
	// Not ListenEarly: what comes before the handshake is complete could have been sent before, by anybody (RFC 8446 8). So there is no
	// 0-RTT either.
	s.ln, err = s.tr.Listen(&tls.Config{GetConfigForClient: s.configFor, NextProtos: []string{http3.NextProtoH3}, MinVersion: tls.VersionTLS13},
		&quic.Config{GetConfigForClient: s.quicConfigFor})
	if err != nil {
		s.stop()
		sock.Close()
		return err
	}
	n.conns.Add(1)
	n.quic.Store(s)
	s.alive.Go(s.accept)
	return nil
}

// suspects reports whether somebody who comes must prove the address first. It is asked by the goroutine of quic-go that all packets of newcomers
// pass, right before that leaves the asking to another one, through a queue in which what finds no room is lost. A burst fills it before that
// other one has run: of 150,000 packets from nowhere in 16 s two thirds found no room, and so did one client in 300 with each of its five
// attempts. So it is waited for; where more comes than can be asked, it is the queue before that overflows, which is longer.
func (s *quicSide) suspects(from net.Addr) bool {
	if from == net.Addr(marker) {
		s.sock.passed()
		return true // and goes no further
	}
	if s.greets.Load() < retryAbove {
		return false
	}
	for i := 0; s.asked.Load()-s.sock.retries.Load() >= retryQueue; i++ {
		switch {
		case i < 10:
			runtime.Gosched()
		case i < 100:
			time.Sleep(50 * time.Microsecond)
		default: // some were never asked
			s.asked.Store(s.sock.retries.Load())
		}
	}
	s.asked.Add(1)
	return true
}

// configFor returns the TLS configuration for a client.
func (s *quicSide) configFor(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	c := s.n.view.Load().HTTP3
	if c == nil {
		return nil, errNoHTTP3
	}
	if c.GetConfigForClient != nil {
		own, err := c.GetConfigForClient(hello)
		if own != nil || err != nil {
			return own, err
		}
	}
	return c, nil
}

// Why a connection is not taken.
var (
	errNoHTTP3 = errors.New("http3 was switched off")
	errFull    = errors.New("too many connections")
	errGreets  = errors.New("too many handshakes")
)

// greet counts a handshake that begins.
func (s *quicSide) greet(ctx context.Context, _ *quic.ClientInfo) (context.Context, error) {
	if s.greets.Load() >= greetAtMost {
		return nil, errGreets
	}
	s.greets.Add(1)
	g := &greeting{s: s}
	context.AfterFunc(ctx, g.end)
	return context.WithValue(ctx, greetingKey{}, g), nil
}

// greeting is a handshake, or a connection it led to.
type greeting struct {
	s    *quicSide
	over atomic.Bool
}

type greetingKey struct{}

// end counts the handshake as no more under way, once.
func (g *greeting) end() {
	if !g.over.Swap(true) {
		g.s.greets.Add(-1)
	}
}

// quicConfigFor says what a connection is like, and refuses it when there are enough. The address is not proved yet.
func (s *quicSide) quicConfigFor(*quic.ClientInfo) (*quic.Config, error) {
	f := s.n.first()
	if f.conns.over() || f.o.Process != nil && f.o.Process.over() {
		return nil, errFull
	}
	return &quic.Config{
		HandshakeIdleTimeout:           max(f.t.Request/2, time.Second), // it may take twice that in all
		MaxIdleTimeout:                 quicSilence,
		KeepAlivePeriod:                quicPulse,
		InitialStreamReceiveWindow:     streamWindow,
		MaxStreamReceiveWindow:         streamWindowMost,
		InitialConnectionReceiveWindow: connWindow,
		MaxConnectionReceiveWindow:     connWindowMost,
		MaxIncomingStreams:             int64(f.maxStreams()),
		MaxIncomingUniStreams:          uniStreams,
	}, nil
}

// accept takes connections until the end.
func (s *quicSide) accept() {
	for {
		qc, err := s.ln.Accept(s.ctx)
		if err != nil {
			return
		}
		s.welcome(qc)
		if g, ok := qc.Context().Value(greetingKey{}).(*greeting); ok {
			g.end()
		}
	}
}

// welcome takes a connection, or refuses it.
func (s *quicSide) welcome(qc *quic.Conn) {
	c := s.meet(qc)
	if c == nil {
		qc.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeExcessiveLoad), "too many connections from this address")
		return
	}
	server := s.enter(c)
	if server == nil {
		qc.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "")
		s.leave(c)
		return
	}
	s.alive.Go(func() {
		defer s.leave(c)
		server.ServeQUICConn(qc) // its error is how the client ended the connection
		c.running.Wait()
	})
}

// enter adds a connection to those that are there, and returns who serves it; nil when the end has come.
func (s *quicSide) enter(c *quicConn) *http3.Server {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return nil
	}
	s.conns[c] = struct{}{}
	if b := s.n.first().quicBounds(); s.server == nil || s.bounds != b {
		if s.server != nil {
			s.past = append(s.past, s.server)
		}
		s.bounds = b
		s.server = &http3.Server{
			Handler: http.HandlerFunc(serveHTTP3), MaxHeaderBytes: b.head, IdleTimeout: b.idle, Logger: noLog,
			ConnContext: func(ctx context.Context, qc *quic.Conn) context.Context {
				return context.WithValue(ctx, quicConnKey{}, s.find(qc))
			},
		}
	}
	return s.server
}

// find returns what belongs to a connection.
func (s *quicSide) find(qc *quic.Conn) *quicConn {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		if c.qc == qc {
			return c
		}
	}
	return nil
}

// leave counts a connection that is gone.
func (s *quicSide) leave(c *quicConn) {
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	s.n.left(c.seat, c.peer)
}

// list returns the connections and the servers there are.
func (s *quicSide) list() (conns []*quicConn, servers []*http3.Server) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		conns = append(conns, c)
	}
	servers = slices.Clone(s.past)
	if s.server != nil {
		servers = append(servers, s.server)
	}
	return conns, servers
}

// keys makes the keys by which clients recognise that a connection is no more (RFC 9000 10.3) and that prove addresses (8.1.3). They are the
// same wherever the secret is: so a client learns at once that a process which it talked to has ended without a word.
func (s *quicSide) keys(secret []byte) error {
	if len(secret) == 0 {
		return nil
	}
	reset, err := hkdf.Key(sha256.New, secret, nil, "gatehouse http3 stateless reset", len(quic.StatelessResetKey{}))
	if err != nil {
		return err
	}
	token, err := hkdf.Key(sha256.New, secret, nil, "gatehouse http3 address tokens", len(quic.TokenGeneratorKey{}))
	if err != nil {
		return err
	}
	s.tr.StatelessResetKey, s.tr.TokenGeneratorKey = (*quic.StatelessResetKey)(reset), (*quic.TokenGeneratorKey)(token)
	return nil
}

// shutdown accepts nobody new, tells clients to go (GOAWAY, RFC 9114 5.2), and lets what is under way end. It does not wait. Where another
// process has the address by now, who is in the middle of a handshake may end it first: newcomers are the other one's already.
func (s *quicSide) shutdown() {
	s.mu.Lock()
	was := s.leaving
	s.leaving = true
	s.mu.Unlock()
	if was {
		return
	}
	if !s.sock.yielded() {
		s.end()
		return
	}
	go func() {
		if settled(s.ctx, s.sock.caughtUp(), &s.greets) {
			s.end()
		}
	}()
}

// settled waits until all newcomers are counted and no handshake is under way any more, but no longer than a client may linger. It reports
// false when ctx ends first.
func settled(ctx context.Context, counted <-chan struct{}, under *atomic.Int64) bool {
	late := time.After(lingerTime)
	select {
	case <-counted:
	case <-ctx.Done():
		return false
	case <-late:
		return true
	}
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for under.Load() > 0 {
		select {
		case <-again.C:
		case <-ctx.Done():
			return false
		case <-late:
			return true
		}
	}
	return true
}

// end is shutdown, at once.
func (s *quicSide) end() {
	s.mu.Lock()
	was := s.closing
	s.leaving, s.closing = true, true
	s.mu.Unlock()
	if was {
		return
	}
	s.ln.Close() // which leaves those to be accepted that have ended their handshakes
	s.stop()
	conns, servers := s.list()
	for _, c := range conns {
		c.part()
	}
	for _, server := range servers {
		go server.Shutdown(s.ended()) // which sends the GOAWAY, and waits
	}
	go func() {
		s.alive.Wait()
		s.tr.Close()
		s.sock.Close()
		s.n.conns.Done()
	}()
}

// ended is a context for the time until every connection has ended.
func (s *quicSide) ended() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		s.alive.Wait()
		cancel()
	}()
	return ctx
}

// abort ends every connection at once.
func (s *quicSide) abort() {
	s.end()
	conns, _ := s.list()
	for _, c := range conns {
		c.kill()
	}
}
