package house_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// Calls of gRPC through the house, by its own client and server. The service echo says everything twice, which is four kinds of call.

type (
	words  = wrapperspb.BytesValue
	echoer struct {
		ended chan error // how calls of "hang" have ended
	}
)

func twice(w *words) *words { return &words{Value: append(w.Value, w.Value...)} }

// unary answers a call with a message; the first byte of it may be a wish.
func (e *echoer) unary(ctx context.Context, in *words) (*words, error) {
	switch s := string(in.Value); {
	case s == "fail":
		grpc.SetTrailer(ctx, metadata.Pairs("detail", "as wished", "blob-bin", "\x00\xff"))
		return nil, status.Error(codes.FailedPrecondition, "not today: 100 % é")
	case s == "hang":
		<-ctx.Done()
		e.ended <- ctx.Err()
		return nil, status.FromContextError(ctx.Err()).Err()
	case s == "deadline":
		end, _ := ctx.Deadline()
		return wordsOf(time.Until(end).String()), nil
	}
	md, _ := metadata.FromIncomingContext(ctx)
	grpc.SetHeader(ctx, metadata.Pairs("saw", strings.Join(md["x-who"], ",")))
	return twice(in), nil
}

// stream answers each message with one.
func (e *echoer) stream(s grpc.ServerStream) error {
	for {
		in := &words{}
		if err := s.RecvMsg(in); err == io.EOF {
			s.SetTrailer(metadata.Pairs("end", "regular"))
			return nil
		} else if err != nil {
			e.ended <- err
			return err
		}
		if err := s.SendMsg(twice(in)); err != nil {
			return err
		}
	}
}

// collect answers all messages with one, spread answers one with many.
func (e *echoer) collect(s grpc.ServerStream) error {
	var all []byte
	for {
		in := &words{}
		if err := s.RecvMsg(in); err == io.EOF {
			return s.SendMsg(&words{Value: all})
		} else if err != nil {
			return err
		}
		all = append(all, in.Value...)
	}
}

func (e *echoer) spread(s grpc.ServerStream) error {
	in := &words{}
	if err := s.RecvMsg(in); err != nil {
		return err
	}
	for range 100 {
		if err := s.SendMsg(in); err != nil {
			return err
		}
	}
	return nil
}

// tick says something every ten minutes, five hours long, and hears the client only then.
func (e *echoer) tick(s grpc.ServerStream) error {
	for range 30 {
		if err := s.SendMsg(wordsOf("tick")); err != nil {
			return err
		}
		time.Sleep(10 * time.Minute)
	}
	in := &words{}
	if err := s.RecvMsg(in); err != nil {
		return err
	}
	return s.SendMsg(twice(in))
}

// service starts the service. It returns its address.
func (e *echoer) service(t testing.TB, o ...grpc.ServerOption) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.serve(ln, o...))
	return ln.Addr().String()
}

// serve starts the service on a listener, and returns what ends it.
func (e *echoer) serve(ln net.Listener, o ...grpc.ServerOption) (stop func()) {
	handler := func(f func(*echoer, grpc.ServerStream) error) grpc.StreamHandler {
		return func(srv any, s grpc.ServerStream) error { return f(srv.(*echoer), s) }
	}
	g := grpc.NewServer(o...)
	g.RegisterService(&grpc.ServiceDesc{
		ServiceName: "test.Echo",
		HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{MethodName: "Unary", Handler: func(srv any, ctx context.Context, dec func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			in := &words{}
			if err := dec(in); err != nil {
				return nil, err
			}
			return srv.(*echoer).unary(ctx, in)
		}}},
		Streams: []grpc.StreamDesc{
			{StreamName: "Stream", Handler: handler((*echoer).stream), ServerStreams: true, ClientStreams: true},
			{StreamName: "Collect", Handler: handler((*echoer).collect), ClientStreams: true},
			{StreamName: "Tick", Handler: handler((*echoer).tick), ServerStreams: true, ClientStreams: true},
			{StreamName: "Spread", Handler: handler((*echoer).spread), ServerStreams: true},
		},
	}, e)
	var running sync.WaitGroup
	running.Go(func() { g.Serve(ln) })
	return func() {
		g.Stop()
		running.Wait()
	}
}

// grpc returns a client of the house's, as its own.
func (r *rig) grpc() *grpc.ClientConn {
	r.Helper()
	c := insecure.NewCredentials()
	if r.tls {
		c = credentials.NewTLS(&tls.Config{InsecureSkipVerify: true})
	}
	cc, err := grpc.NewClient("passthrough:///a.test", grpc.WithTransportCredentials(c), grpc.WithAuthority("a.test"),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "tcp", r.addr)
		}))
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { cc.Close() })
	return cc
}

func soon(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func wordsOf(s string) *words { return &words{Value: []byte(s)} }

const (
	unary   = "/test.Echo/Unary"
	stream  = "/test.Echo/Stream"
	collect = "/test.Echo/Collect"
	spread  = "/test.Echo/Spread"
	tick    = "/test.Echo/Tick"
)

func TestGRPCUnary(t *testing.T) {
	h2everywhere(t, func(t *testing.T, p plan) {
		p.back = speaking((&echoer{}).service(t))
		r := build(t, p)
		cc := r.grpc()
		ctx := metadata.AppendToOutgoingContext(soon(t), "x-who", "me")
		var header metadata.MD
		out := &words{}
		if err := cc.Invoke(ctx, unary, wordsOf("hey"), out, grpc.Header(&header)); err != nil || string(out.Value) != "heyhey" || fmt.Sprint(header["saw"]) != "[me]" {
			t.Errorf("%v %q %v", err, out.Value, header)
		}
		if l := r.line(); l.Status != 200 || l.Method != "POST" || l.Path != unary || l.Termination != "----" {
			t.Errorf("the line %+v", l)
		}
		// An error of the server's own, with what it says beside it.
		var trailer metadata.MD
		err := cc.Invoke(ctx, unary, wordsOf("fail"), out, grpc.Trailer(&trailer))
		if s := status.Convert(err); s.Code() != codes.FailedPrecondition || s.Message() != "not today: 100 % é" || fmt.Sprint(trailer["detail"]) != "[as wished]" || trailer["blob-bin"][0] != "\x00\xff" {
			t.Errorf("%v, %v", err, trailer)
		}
		if l := r.line(); l.Status != 200 || l.Termination != "----" {
			t.Errorf("the line %+v", l)
		}
		// A method there is not: the answer consists of trailers alone.
		if err := cc.Invoke(ctx, "/test.Echo/None", wordsOf(""), out); status.Code(err) != codes.Unimplemented {
			t.Errorf("%v", err)
		}
	})
}

func TestGRPCBigMessages(t *testing.T) {
	r := build(t, plan{bind: both, back: speaking((&echoer{}).service(t, grpc.MaxRecvMsgSize(16<<20), grpc.MaxSendMsgSize(64<<20)))})
	cc := r.grpc()
	in := &words{Value: bytes.Repeat([]byte("0123456789abcdef"), 512<<10)} // 8 MiB
	out := &words{}
	if err := cc.Invoke(soon(t), unary, in, out); err != nil || !bytes.Equal(out.Value, append(in.Value, in.Value...)) {
		t.Errorf("%v, %d bytes", err, len(out.Value))
	}
	// One too large for the server: it says so without having read it.
	in.Value = append(in.Value, make([]byte, 9<<20)...)
	if err := cc.Invoke(soon(t), unary, in, out); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("a message of 17 MiB: %v", err)
	}
}

func TestGRPCStreams(t *testing.T) {
	h2everywhere(t, func(t *testing.T, p plan) {
		p.back = speaking((&echoer{}).service(t))
		cc := build(t, p).grpc()
		// Both directions: each answer is awaited before the next word.
		s, err := cc.NewStream(soon(t), &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, stream)
		if err != nil {
			t.Fatal(err)
		}
		out := &words{}
		for i := range 50 {
			w := fmt.Sprint("word", i)
			if err := s.SendMsg(wordsOf(w)); err != nil {
				t.Fatal(err)
			}
			if err := s.RecvMsg(out); err != nil || string(out.Value) != w+w {
				t.Fatalf("%v %q", err, out.Value)
			}
		}
		s.CloseSend()
		if err := s.RecvMsg(out); err != io.EOF || fmt.Sprint(s.Trailer()["end"]) != "[regular]" {
			t.Errorf("%v, %v", err, s.Trailer())
		}
		// Client to server.
		if s, err = cc.NewStream(soon(t), &grpc.StreamDesc{ClientStreams: true}, collect); err != nil {
			t.Fatal(err)
		}
		for range 100 {
			if err := s.SendMsg(wordsOf("0123456789")); err != nil {
				t.Fatal(err)
			}
		}
		s.CloseSend()
		if err := s.RecvMsg(out); err != nil || len(out.Value) != 1000 {
			t.Errorf("%v, %d bytes", err, len(out.Value))
		}
		// Server to client.
		if s, err = cc.NewStream(soon(t), &grpc.StreamDesc{ServerStreams: true}, spread); err != nil {
			t.Fatal(err)
		}
		s.SendMsg(wordsOf("again"))
		s.CloseSend()
		n := 0
		for ; err == nil; n++ {
			err = s.RecvMsg(out)
		}
		if err != io.EOF || n != 101 {
			t.Errorf("%v after %d messages", err, n-1)
		}
	})
}

// TestGRPCGivesUp: a call that is cancelled, or whose deadline has come, ends on the server too.
func TestGRPCGivesUp(t *testing.T) {
	e := &echoer{ended: make(chan error, 1)}
	r := build(t, plan{bind: both, back: speaking(e.service(t))})
	cc := r.grpc()
	ended := func() error {
		select {
		case err := <-e.ended:
			return err
		case <-time.After(patience):
			t.Fatal("the server was not told")
			return nil
		}
	}
	if err := cc.Invoke(soon(t), unary, wordsOf("ok"), &words{}); err != nil { // connections are made: the deadline is for the call alone
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer cancel()
	if err := cc.Invoke(ctx, unary, wordsOf("hang"), &words{}); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("a deadline: %v", err)
	}
	ended()
	ctx, cancel = context.WithCancel(context.Background())
	s, err := cc.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, stream)
	if err != nil {
		t.Fatal(err)
	}
	s.SendMsg(wordsOf("x"))
	if err := s.RecvMsg(&words{}); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := ended(); status.Code(err) != codes.Canceled {
		t.Errorf("the server was told %v", err)
	}
	// The connection to the server has survived both.
	if err := cc.Invoke(soon(t), unary, wordsOf("ok"), &words{}); err != nil {
		t.Error(err)
	}
}

// TestGRPCBehindEverything: a cache, compressing of all there is, a persistence cookie and header rules leave calls what they are.
func TestGRPCBehindEverything(t *testing.T) {
	r := build(t, plan{tls: true, more: "cache \"pages\" {}\n", back: "cookie \"SERVERID\" {}\n" + speaking((&echoer{}).service(t)), front: `cache = cache.pages
 compress {
  types    = ["application/*"]
  min_size = "1B"
  private  = true
 }
 response_headers { set = { x-by = "gatehouse" } }`})
	cc := r.grpc()
	in := &words{Value: bytes.Repeat([]byte("the same again, "), 10_000)}
	for range 3 {
		var header metadata.MD
		out := &words{}
		if err := cc.Invoke(soon(t), unary, in, out, grpc.Header(&header)); err != nil || !bytes.Equal(out.Value, append(in.Value, in.Value...)) {
			t.Fatalf("%v, %d bytes", err, len(out.Value))
		}
		if fmt.Sprint(header["x-by"]) != "[gatehouse]" || !strings.HasPrefix(strings.Join(header["set-cookie"], ""), "SERVERID=") {
			t.Errorf("%v", header)
		}
	}
	s, err := cc.NewStream(soon(t), &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, stream)
	if err != nil {
		t.Fatal(err)
	}
	for range 5 { // each answer is there before the next word
		if err := s.SendMsg(in); err != nil {
			t.Fatal(err)
		}
		out := &words{}
		if err := s.RecvMsg(out); err != nil || len(out.Value) != 2*len(in.Value) {
			t.Fatalf("%v, %d bytes", err, len(out.Value))
		}
	}
	s.CloseSend()
	if err := s.RecvMsg(&words{}); err != io.EOF {
		t.Error(err)
	}
	err = cc.Invoke(soon(t), unary, wordsOf("fail"), &words{})
	if s := status.Convert(err); s.Code() != codes.FailedPrecondition {
		t.Errorf("%v", err)
	}
	if c := r.h.Status().Frontends[0].Compress; c.Compressed() > 0 {
		t.Errorf("calls are compressed: %s", c.Codings())
	}
}

// TestGRPCWithoutServer: what the house answers itself is a status of gRPC.
func TestGRPCWithoutServer(t *testing.T) {
	r := build(t, plan{bind: both, back: speaking("127.0.0.1:1") + " retries = 0"})
	err := r.grpc().Invoke(soon(t), unary, wordsOf("x"), &words{})
	if s := status.Convert(err); s.Code() != codes.Unavailable || !strings.Contains(s.Message(), "503") || strings.Contains(s.Message(), "html") {
		t.Errorf("%v", err)
	}
	if l := r.line(); l.Status != 200 || l.Termination != "SC--" {
		t.Errorf("the line %+v", l)
	}
}

// census counts the connections of a server.
type census struct{ connections atomic.Int64 }

func (*census) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context   { return ctx }
func (*census) HandleRPC(context.Context, stats.RPCStats)                         {}
func (*census) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (c *census) HandleConn(_ context.Context, s stats.ConnStats) {
	if _, ok := s.(*stats.ConnBegin); ok {
		c.connections.Add(1)
	}
}

// TestGRPCLoad: many calls at once, while one server bids farewell to its connections all the time (GOAWAY), and the other takes few streams on
// each. No call notices.
func TestGRPCLoad(t *testing.T) {
	var of census
	leaving := (&echoer{}).service(t, grpc.StatsHandler(&of), grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionAge: 5 * time.Millisecond}))
	narrow := (&echoer{}).service(t, grpc.MaxConcurrentStreams(7))
	r := build(t, plan{bind: both, back: speaking(leaving, narrow), loops: 2})
	var wg sync.WaitGroup
	var calls atomic.Int64
	for range 4 {
		cc := r.grpc()
		for j := range 10 {
			wg.Go(func() {
				out := &words{}
				for k := 0; k < 30 || of.connections.Load() < 8; k++ {
					w := fmt.Sprintf("%d/%d", j, k) + strings.Repeat("x", k%30*j*100)
					if err := cc.Invoke(soon(t), unary, wordsOf(w), out); err != nil || string(out.Value) != w+w {
						t.Errorf("%v, %d bytes", err, len(out.Value))
						return
					}
					calls.Add(1)
				}
			})
		}
	}
	wg.Wait()
	if n := of.connections.Load(); n < 8 {
		t.Errorf("the server that leaves has had %d connections", n)
	}
	t.Logf("%d calls, %d connections to the server that leaves", calls.Load(), of.connections.Load())
}
